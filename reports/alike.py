"""What several runs must have in common to be one, and the description of that one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from harness.errors import UsageError
from harness.run import Run, now
from reports.records import part
from reports.table import clean

_ENVIRONMENT = ("device", "driver", "torch", "triton", "python", "isolation")
_FREE = ("solver", "samples", "device", "isolation", "model", "model_cache", "model_cache_file")
"""Options that may differ: what is planned is in the plan, what judged is in the environment, the model is held against
the others' by itself, and where answers were kept makes no other attempt."""


def check_alike(runs: Sequence[Run]) -> None:
    """Raises UsageError with the first thing that keeps these from being one run."""
    for run in runs:
        if not _environment(run)["digest"]:
            raise UsageError(f"{run.folder} does not say what it was judged on: it can't be a part of another run")
    for first, run in combinations(runs, 2):
        differs = next((text for name, look in _LOOKS if (text := _differs(name, look(first), look(run)))), "")
        if differs:
            raise UsageError(
                f"{first.folder} and {run.folder} can't be one run: {differs}; tables take several runs and keep these "
                "apart (kernel-assay leaderboard RUN RUN)"
            )


def joined(runs: Sequence[Run]) -> dict[str, Any]:
    """What `run.json` says of all of them, but for the plan."""
    first = runs[0].about
    asked = [part(run.about, "options") for run in runs]
    options = dict(asked[0])
    for name in _FREE:
        values = [each.get(name) for each in asked]
        options[name] = values[0] if all(value == values[0] for value in values) else None
    options["solver"] = list(dict.fromkeys(_told(name for each in asked for name in _list(each.get("solver")))))
    options["samples"] = max(each if isinstance(each := told.get("samples"), int) else 1 for told in asked)
    options["model"] = next((told["model"] for told in asked if told.get("model")), None)
    models = [told for run in runs if (told := part(run.about, "model"))]
    where = [part(run.about, "environment").get("uuid") for run in runs]
    environment = part(first, "environment") | {"uuid": ", ".join(_told(where))}
    return {
        **first,
        "harness": ", ".join(_told(run.about.get("harness") for run in runs)),
        "created": min(_told(run.about.get("created") for run in runs), default=now()),
        "command": ["kernel-assay", "merge", *(str(run.folder) for run in runs)],
        "suites": _union(runs, "suites", "name"),
        "solvers": _union(runs, "solvers", "label"),
        "model": models[0] if models else None,
        "options": options,
        "environment": environment,
        "devices": sum(each if isinstance(each := run.about.get("devices"), int) else 1 for run in runs),
    }


def _union(runs: Sequence[Run], what: str, name: str) -> list[dict[str, Any]]:
    return list({label: entry for run in runs for label, entry in _named(run, what, name).items()}.values())


def _named(run: Run, what: str, name: str) -> dict[str, dict[str, Any]]:
    entries = run.about.get(what)
    return (
        {str(each.get(name)): each for each in entries if isinstance(each, dict)} if isinstance(entries, list) else {}
    )


def _environment(run: Run) -> dict[str, Any]:
    about = part(run.about, "environment")
    return {name: about.get(name) for name in (*_ENVIRONMENT, "digest")}


def _options(run: Run) -> dict[str, Any]:
    return {name: value for name, value in part(run.about, "options").items() if name not in _FREE}


def _model(run: Run) -> dict[str, Any]:
    """Nothing where solvers used none: then it is no other one."""
    return part(run.about, "model")


def _suites(run: Run) -> dict[str, Any]:
    return {name: each.get("digest") for name, each in _named(run, "suites", "name").items()}


def _solvers(run: Run) -> dict[str, Any]:
    return {
        label: {name: each.get(name) for name in ("options", "shows_reference", "shows_examples")}
        for label, each in _named(run, "solvers", "label").items()
    }


_LOOKS: tuple[tuple[str, Callable[[Run], dict[str, Any]]], ...] = (
    ("", _environment),
    ("suite ", _suites),
    ("model's ", _model),
    ("solver ", _solvers),
    ("option ", _options),
)
"""What is compared. Of suites, solvers and models only what both have, of the rest everything."""
_WHOLE = ("", "option ")


def _differs(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = {**before, **now} if what in _WHOLE else [name for name in before if name in now]
    for name in names:
        if before.get(name) != now.get(name):
            return f"{what}{clean(name)} is {_shown(before.get(name))} in one and {_shown(now.get(name))} in the other"
    return ""


def _shown(value: object) -> str:
    return "unset" if value is None else clean(value, 80)


def _told(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
