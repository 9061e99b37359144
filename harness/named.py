"""What the options name, made: solvers with their labels, the model, the judge."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import registry
from harness.device import Device, cache_folder
from harness.errors import UsageError
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.limits import INTERPRETED, TimingLimits
from harness.options import MODEL_DEFAULT, Options
from harness.sandbox import isolation
from harness.solver import Model, Solver


@dataclass(frozen=True)
class NamedSolver:
    """A solver with the label under which it stands in node ids and records."""

    label: str
    solver: Solver
    options: dict[str, str]


def make_judge(options: Options, device: Device, hidden: Iterable[Path], values: Path | None = None) -> Judge:
    """A judge with the limits that the options set; candidates never see what is `hidden`. `values`: a folder for what
    references keep, of one command."""
    timing = INTERPRETED if device.interpreted else TimingLimits()
    if options.timing_width is not None:
        timing = replace(timing, width=options.timing_width)
    timing = replace(timing, workloads=options.timed_workloads, processes=options.timing_processes or 1)
    limits = isolation.Limits()
    if options.memory_limit:
        limits = replace(limits, memory=int(options.memory_limit * (1 << 30)))
    stage = options.stage_timeout or JudgeLimits.stage_seconds
    call = min(stage, options.call_timeout or JudgeLimits.call_seconds)
    block = options.timing_timeout or min(stage, timing.block_seconds)
    timing = replace(timing, stage_seconds=stage, call_seconds=call, block_seconds=block)
    folder = None if options.compile_cache == "off" else Path(options.compile_cache or cache_folder() / "compiled")
    judging = JudgeLimits(
        stage_seconds=stage,
        call_seconds=call,
        sandbox=limits,
        timing=timing,
        guarded=not options.unguarded,
        sanitizer=bool(options.sanitizer),
        timed=not options.no_timing,
        compiled=folder,
        values=values,
    )
    return Judge(device, judging, hidden)


def named_solvers(options: Options) -> list[NamedSolver]:
    found: list[NamedSolver] = []
    wanted = {
        name: getattr(options, name) for name in ("iterations", "early_stop_threshold", "predictions", "extractor")
    }
    defaults = {name: value for name, value in wanted.items() if value is not None}
    taken: set[str] = set()
    for text in options.solver:
        specification = registry.Specification.parse(text)
        factory = registry.find(registry.SOLVERS, specification.target)
        taken |= {name for name in defaults if registry.takes(factory, name)}
        what, typed = f"solver {specification.target!r}", dict(specification.options)
        given = registry.configured(typed, factory, defaults, what)
        solver = registry.make(factory, given, defaults, what)
        if not callable(getattr(solver, "solve", None)) or not isinstance(getattr(solver, "name", None), str):
            raise UsageError(f"{specification.target!r} is no solver: it needs `name` and `solve(task, bench)`")
        if given is not typed:
            typed["config"] = Path(typed["config"]).stem
        short = {name: Path(value).name if os.sep in value else value for name, value in typed.items()}
        labels = {each.label for each in found}
        label = _label(solver, typed if _label(solver, short) in labels else short)
        if label in labels or any((each.solver.name, each.options) == (solver.name, given) for each in found):
            raise UsageError(f"the solver {_label(solver, typed)!r} is given twice")
        found.append(NamedSolver(label, solver, given))
    for name in ("iterations", "early_stop_threshold"):
        if name in defaults and name not in taken:
            raise UsageError(f"--{name.replace('_', '-')}: none of the solvers has {name.replace('_', ' ')}")
    if options.predictions is not None and not any(hasattr(each.solver, "predictions") for each in found):
        raise UsageError("--predictions: only the solver replay takes it: add --solver=replay")
    if options.extractor is not None and "extractor" not in taken:
        raise UsageError("--extractor: only the solver replay takes it: add --solver=replay")
    return found


def _label(solver: Solver, options: dict[str, str]) -> str:
    """How it is named in node ids, records and tables; of a path among its options the last part is enough, mostly."""
    return f"{solver.name}:{','.join(f'{name}={value}' for name, value in options.items())}" if options else solver.name


def model_settings(model: Model) -> dict[str, Any] | None:
    """What makes the model's answers what they are, where it says so; see `harness.solver.Model`."""
    told = getattr(model, "settings", None)
    return told() if callable(told) else None


def named_model(options: Options) -> Model:
    """The model by entry-point name; any other name is one that an OpenAI-compatible server knows."""
    name = options.model
    if name is None and options.model_profile is None:
        if options.base_url or os.environ.get("OPENAI_API_KEY"):
            raise UsageError("name the model with --model=NAME (a key or --base-url is set), or use --model=offline")
        name = MODEL_DEFAULT
    given: dict[str, Any] = {"model": name, "base_url": options.base_url}
    plugged = name is not None and (name in registry.names(registry.MODELS) or ".py:" in name)
    target = name if name is not None and plugged else "openai"
    if options.base_url and target != "openai":
        raise UsageError(f"--base-url has no meaning for --model={name}")
    factory = registry.find(registry.MODELS, target)
    for parameter in ("profile", "cache", "cache_file"):
        value = getattr(options, f"model_{parameter}")
        if value is not None and not registry.takes(factory, parameter):
            raise UsageError(f"--model-{parameter.replace('_', '-')} has no meaning for --model={name}")
        given |= {parameter: value} if value is not None else {}
    what = f"model {name!r}" if name is not None else f"the model of the profile {options.model_profile!r}"
    model = registry.make(factory, dict(_pair(text) for text in options.model_option), given, what)
    if not isinstance(model, Model):
        raise UsageError(f"{name!r} is no model: it needs `name`, `language_model` and `complete(messages)`")
    return model


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--model-option {text!r} is malformed: write KEY=VALUE")
    return key, value
