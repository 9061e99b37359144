"""Plug-ins: solvers, models and reports, found by name through packaging entry points, or by `module:attr` or
`file.py:Name`; and their options, given as text and made into what the factory's annotations say."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import tomllib
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.errors import UsageError

SOLVERS, MODELS, REPORTS, SUITES, PROOFS = (
    f"kernel_assay.{kind}" for kind in ("solvers", "models", "reports", "suites", "proofs")
)
CHECKOUTS = "KERNEL_ASSAY_CHECKOUTS"
"""Environment variable, as `--checkout` sets it: folders in which suites from elsewhere look for their tasks."""


@dataclass(frozen=True)
class Specification:
    """A plug-in as a person names it: `geak`, `geak:iterations=5`, `my.module:Solver`, `solver.py:Name:depth=2`."""

    target: str
    """Entry-point name, `module:attr` or `file.py:Name`."""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Specification:
        """Read a specification. Raises UsageError for one that is malformed."""
        target, options = text.strip(), ""
        head, _, tail = target.rpartition(":")
        if head and "=" in tail:
            target, options = head, tail
        if not target or target.count(":") > 1 or target.startswith(":") or target.endswith(":"):
            raise UsageError(
                f"--solver {text!r} is malformed: write NAME, NAME:KEY=VALUE,…, MODULE:ATTR or FILE.py:NAME"
            )
        pairs = []
        for part in options.split(",") if options else []:
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                raise UsageError(
                    f"--solver {text!r} is malformed at {part!r}: options are KEY=VALUE, separated by commas"
                )
            pairs.append((key.strip(), value.strip()))
        return cls(target, tuple(pairs))

    def __str__(self) -> str:
        return self.target + (":" + ",".join(f"{key}={value}" for key, value in self.options) if self.options else "")


def names(group: str) -> list[str]:
    """Names that entry points give to plug-ins of a group."""
    return sorted({point.name for point in entry_points(group=group)})


def find(group: str, target: str) -> Callable[..., Any]:
    """The factory of a plug-in. Raises UsageError, which lists what there is."""
    kind = group.rpartition(".")[2].rstrip("s")
    if ":" not in target:
        for point in entry_points(group=group):
            if point.name == target:
                return typing.cast(Callable[..., Any], _loaded(point.load, f"the {kind} {target!r}"))
        known = ", ".join(names(group)) or "none (is the package installed? `pip install -e .`)"
        raise UsageError(f"unknown {kind} {target!r}: there are {known}; or give MODULE:ATTR or FILE.py:NAME")
    place, _, attribute = target.partition(":")
    module = _loaded(lambda: _module(place), f"{kind} {target!r}")
    factory = getattr(module, attribute, None)
    if factory is None:
        raise UsageError(f"{kind} {target!r}: {place} defines no {attribute!r}")
    try:
        inspect.signature(factory)
    except (TypeError, ValueError):
        raise UsageError(f"{kind} {target!r}: {attribute!r} of {place} is no class or function of Python") from None
    return typing.cast(Callable[..., Any], factory)


def suite_folder(name: str) -> Path:
    """The folder of a suite that an entry point names: its package's folder."""
    package = find(SUITES, name)
    file = getattr(package, "__file__", None)
    if file is None:
        raise UsageError(f"the suite {name!r} is no package: its entry point has to name the package of its folder")
    return Path(file).resolve().parent


def make(factory: Callable[..., Any], options: dict[str, str], defaults: dict[str, Any], what: str) -> Any:
    """Call a factory with options given as text, each known to it, and defaults, passed where it takes them."""
    parameters = inspect.signature(factory).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    hints = _hints(factory)
    arguments: dict[str, Any] = {key: value for key, value in defaults.items() if key in parameters}
    for key, text in options.items():
        if key not in parameters and not open_ended:
            known = ", ".join(parameters) or "none"
            raise UsageError(f"{what} has no option {key!r}; its options: {known}")
        arguments[key] = _coerced(text, hints.get(key, str), f"{what}: {key}={text}")
    try:
        return factory(**arguments)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} can't be made: {error}") from error
    except Exception as error:
        raise UsageError(f"{what} can't be made: {type(error).__name__}: {error}") from error


def configured(
    options: dict[str, str], factory: Callable[..., Any], defaults: dict[str, Any], what: str
) -> dict[str, str]:
    """Options given as text, completed from a TOML file where `config=FILE` is one of them: what is given beside it, or
    for the whole command (`defaults`), counts more. A factory with an option `config` of its own reads it itself.
    Raises UsageError."""
    if "config" not in options or takes(factory, "config"):
        return options
    path = Path(options["config"])
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{what}: {path} can't be read as TOML: {error}") from None
    for key, value in table.items():
        if not isinstance(value, (str, int, float)):
            raise UsageError(
                f"{what}: {path}: {key} is a {type(value).__name__}; options are text, numbers, true or false"
            )
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in table.items()}
    kept = {key: text for key, text in texts.items() if key not in defaults}
    return {**kept, **{key: value for key, value in options.items() if key != "config"}}


def takes(factory: Callable[..., Any], option: str) -> bool:
    """Has the factory this option?"""
    return option in inspect.signature(factory).parameters


def _loaded(load: Callable[[], Any], what: str) -> Any:
    try:
        return load()
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"{what} can't be loaded: {type(error).__name__}: {error}") from error


def _module(place: str) -> types.ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = Path(place).resolve()
    if not path.is_file():
        raise UsageError(f"{place} does not exist")
    name = f"_kernel_assay_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    function = factory.__init__ if inspect.isclass(factory) else factory
    try:
        return typing.get_type_hints(function)
    except Exception:
        return {}


def _coerced(text: str, hint: Any, what: str) -> Any:
    """Text as the annotation wants it."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = typing.get_args(hint)
        if type(None) in kinds and text.lower() in ("none", ""):
            return None
        return _coerced(text, next(kind for kind in kinds if kind is not type(None)), what)
    if typing.get_origin(hint) is typing.Literal:
        allowed = typing.get_args(hint)
        if text not in allowed:
            raise UsageError(f"{what}: use one of {', '.join(map(str, allowed))}")
        return text
    if hint is bool:
        truths = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.lower() not in truths:
            raise UsageError(f"{what}: use true or false")
        return truths[text.lower()]
    if hint in (int, float, Path):
        try:
            return hint(text)
        except ValueError:
            raise UsageError(f"{what}: a value of type {hint.__name__} is needed") from None
    return text
