"""The options of a run: pytest's command line, read once into one frozen object.

Values are None where nothing was given, so that a resumed run can tell what it must take over from what contradicts it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from harness.errors import UsageError
from harness.registry import Specification
from harness.sandbox.levels import Level
from harness.solver import Budget

MODEL_DEFAULT = "offline"
ENGINES = ("local", "ray")
CACHE_MODES = ("auto", "off", "refresh", "replay")
_LISTS = ("solver", "model_option")
_PATHS = ("predictions", "model_cache_file")
_FREE = ("model_cache", "model_cache_file")
"""Taken over on resume where they are not given, but free to differ: where answers come from, not what they are."""
_SWITCHES = ("unguarded", "sanitizer", "no_timing", "ray_solve")
_POSITIVE = (
    "samples iterations early_stop_threshold max_evaluations max_tokens max_dollars max_seconds stage_timeout "
    "call_timeout timing_timeout memory_limit timing_width timing_processes timed_workloads concurrency judges"
)


@dataclass(frozen=True)
class Options:
    """What a person asked for. Each field is the pytest option of the same name, dashes for underscores."""

    solver: tuple[str, ...] = ()
    model: str | None = None
    base_url: str | None = None
    model_option: tuple[str, ...] = ()
    model_profile: str | None = None
    model_cache: str | None = None
    model_cache_file: Path | None = None
    samples: int | None = None
    iterations: int | None = None
    early_stop_threshold: float | None = None
    device: str | None = None
    run_dir: Path | None = None
    resume: Path | None = None
    seed: int | None = None
    predictions: Path | None = None
    extractor: str | None = None
    max_evaluations: int | None = None
    max_tokens: int | None = None
    max_dollars: float | None = None
    max_seconds: float | None = None
    stage_timeout: float | None = None
    call_timeout: float | None = None
    timing_timeout: float | None = None
    memory_limit: float | None = None
    timing_width: float | None = None
    timing_processes: int | None = None
    timed_workloads: int | None = None
    isolation: str | None = None
    unguarded: bool | None = None
    sanitizer: bool | None = None
    no_timing: bool | None = None
    concurrency: int | None = None
    judges: int | None = None
    compile_cache: str | None = None
    devices: str | None = None
    engine: str | None = None
    ray_address: str | None = None
    ray_accelerator: str | None = None
    ray_solve: bool | None = None
    baseline: Path | None = None
    baseline_threshold: float | None = None
    baseline_confidence: float | None = None

    RECORDED = (
        "solver model base_url model_option model_profile model_cache model_cache_file samples iterations "
        "early_stop_threshold device seed predictions extractor max_evaluations "
        "max_tokens max_dollars max_seconds stage_timeout call_timeout timing_timeout memory_limit "
        "timing_width timing_processes timed_workloads isolation unguarded sanitizer no_timing"
    )

    @classmethod
    def read(cls, get: Any) -> Self:
        """From a function that gives an option's value by name (`config.getoption`)."""
        values = {each.name: get(each.name) for each in fields(cls)}
        options = cls(
            **{
                **values,
                **{name: tuple(values[name] or ()) for name in _LISTS},
                **{name: values[name] or None for name in _SWITCHES},
            }
        )
        return options.checked()

    def checked(self, alone: bool = True) -> Self:
        """These options. Raises UsageError for what can't be. `alone`: a command, in which nothing is done at once
        unless it is asked for."""
        for name in _POSITIVE.split():
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"--{name.replace('_', '-')} {value}: a number above zero is needed")
        if self.model_cache not in (None, *CACHE_MODES):
            raise UsageError(f"--model-cache {self.model_cache!r} is no mode: there are {', '.join(CACHE_MODES)}")
        for text in self.solver:
            Specification.parse(text)
        if self.isolation is not None:
            try:
                Level.parse(self.isolation)
            except ValueError as error:
                raise UsageError(f"--isolation: {error}") from None
            if self.unguarded:
                raise UsageError("--unguarded gives no isolation at all: leave it out, or --isolation")
        if self.no_timing and self.timed_workloads is not None:
            raise UsageError("--no-timing times no workload: leave --timed-workloads out")
        if self.no_timing and self.timing_processes is not None:
            raise UsageError("--no-timing times nothing: leave --timing-processes out")
        at_once = self.many > 1 or self.devices is not None or self.engine == "ray"
        if alone and self.judges is not None and not at_once:
            raise UsageError("--judges: attempts run one at a time: add --concurrency=N, or leave it out")
        if self.devices is not None and self.device is not None:
            raise UsageError("--devices names the devices already: leave --device out")
        if self.engine not in (None, *ENGINES):
            raise UsageError(f"--engine {self.engine!r} is unknown: there are {' and '.join(ENGINES)}")
        for name in ("ray_address", "ray_accelerator", "ray_solve"):
            if getattr(self, name) is not None and self.engine != "ray":
                raise UsageError(f"--{name.replace('_', '-')} has no meaning without --engine=ray")
        if self.engine == "ray" and self.devices is not None:
            raise UsageError("--devices: with --engine=ray judges take all GPUs of the cluster: leave it out")
        for name in ("baseline_threshold", "baseline_confidence"):
            if getattr(self, name) is not None and self.baseline is None:
                raise UsageError(f"--{name.replace('_', '-')} has no meaning without --baseline=RUN")
        if not 0 <= self.threshold < 1:
            raise UsageError(f"--baseline-threshold {self.threshold}: from 0 to less than 1 is needed, like 0.02")
        if not 0.5 <= self.confidence <= 0.9999:
            raise UsageError(f"--baseline-confidence {self.confidence}: from 0.5 to 0.9999 is needed, like 0.95")
        if self.resume and self.run_dir:
            raise UsageError("--resume names the run folder already: leave --run-dir out")
        return self

    @property
    def budget(self) -> Budget:
        """What one attempt may spend."""
        return Budget(self.max_evaluations, self.max_tokens, self.max_dollars, self.max_seconds)

    @property
    def threshold(self) -> float:
        """The largest loss against the baseline that does not matter: a share, or 1 - ratio of speed."""
        return self.baseline_threshold if self.baseline_threshold is not None else 0.0

    @property
    def confidence(self) -> float:
        """With which a loss against the baseline must be shown."""
        return self.baseline_confidence if self.baseline_confidence is not None else 0.95

    @property
    def many(self) -> int:
        """Attempts that run at once."""
        return self.concurrency or 1

    def check_isolation(self, level: str) -> None:
        """Raises UsageError where a machine's level is less than the one asked for."""
        if self.isolation is not None and not Level.parse(level).at_least(Level.parse(self.isolation)):
            raise UsageError(
                f"--isolation={self.isolation}: this machine gives {level} only: run as root, allow user namespaces or "
                f"install bubblewrap, take a kernel with Landlock and seccomp, or ask for less: --isolation={level}"
            )

    def recorded(self) -> dict[str, Any]:
        """The options that make a run what it is, as `run.json` holds them."""
        values = asdict(self)
        kept = {name: values[name] for name in self.RECORDED.split()}
        return {
            **kept,
            **{name: list(values[name]) for name in _LISTS},
            **{name: str(values[name]) if values[name] else None for name in _PATHS},
        }

    def resumed(self, recorded: dict[str, Any], run: Path) -> Self:
        """These options, completed from those of the run that is continued. Raises UsageError where they differ."""
        before = {
            **recorded,
            **{name: tuple(recorded.get(name) or ()) for name in _LISTS},
            **{name: Path(recorded[name]) if recorded.get(name) else None for name in _PATHS},
        }
        taken: dict[str, Any] = {}
        for name in self.RECORDED.split():
            asked, earlier = getattr(self, name), before.get(name)
            if asked in (None, ()):
                taken[name] = earlier
            elif asked == earlier or name in _FREE:
                continue
            else:
                flag = "--" + name.replace("_", "-")
                raise UsageError(
                    f"{run} was run with {flag} {_shown(earlier)}, not {_shown(asked)}: "
                    f"leave {flag} out, or start a new run"
                )
        return replace(self, **taken)


def _shown(value: Any) -> str:
    if value in (None, ()):
        return "unset"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
