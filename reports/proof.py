"""The doctor's table: tasks by checks, from one doctor's run or several (the interpreter's and a GPU's).

    kernel-assay proof RUN RUN -o suites/rocm/PROOF.md

A pure function of the runs' findings. Only findings of the newest digest of a task count; the table names that
digest, so that a table of a task that has changed since is seen to be stale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.doctor.finding import Check, Finding, Result
from harness.doctor.record import DoctorRun
from harness.errors import UsageError
from reports.render import markdown, terminal
from reports.table import Column, Table, clean, microseconds, ratio, whole_percent
from reports.whole import write_whole

Figures = dict[str, Any]
FATES = ("killed", "survived", "equivalent", "unreached", "stillborn")
GOOD_FRACTION = 0.7
"""Of the hardware's limit, on a workload of today's size: an expert's reference."""
LARGE_US = 50.0


class ProofReport:
    """What the doctor's plug-in asks of a report; it needs no state."""

    @staticmethod
    def summary(run_folder: Path, width: int) -> str:
        """Text for pytest's terminal summary."""
        return terminal([checks_table(Proof.read([run_folder]))], width)

    @staticmethod
    def write(run_folder: Path) -> Path:
        """Write `RUN/report/proof.md`; returns its path."""
        folder = run_folder / "report"
        try:
            folder.mkdir(exist_ok=True)
            write_whole(folder / "proof.md", markdown(tables(Proof.read([run_folder]))))
        except OSError as error:
            raise UsageError(f"{folder} can't be written ({error.strerror}): make room") from None
        return folder / "proof.md"


@dataclass(frozen=True)
class Proof:
    """Findings of several runs, the newest of each task, check and kind of device."""

    findings: dict[tuple[str, Check, str], Finding]
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    """`interpreter`, `cuda`, `hip`: those on which there was a run."""
    devices: tuple[str, ...]
    """A line each: device and software."""

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Proof:
        """From run folders. Raises UsageError where one is no doctor's run, or holds no finding at all."""
        runs = [DoctorRun.open(folder) for folder in folders]
        every = sorted((each for run in runs for each in run.findings()), key=lambda each: each.finished)
        digests = {each.task: each.task_digest for each in every}
        current = [each for each in every if digests[each.task] == each.task_digest]
        devices = []
        for run in runs:
            about = run.about["environment"]
            driver = f", driver {about['driver']}" if about.get("driver") else ""
            devices.append(
                f"{about['device']}{driver}, Python {about['python']}, torch {about['torch']}, "
                f"Triton {about['triton']}, isolation {about['isolation']}, {str(run.about.get('created'))[:10]}"
            )
        planned = [name for run in runs for suite in run.about.get("suites", []) for name in suite["tasks"]]
        return cls(
            {(each.task, each.check, each.device_kind): each for each in current},
            tuple(sorted({*planned, *digests})),
            tuple(dict.fromkeys(run.about["environment"]["device_kind"] for run in runs)),
            tuple(dict.fromkeys(devices)),
        )

    def one(self, task: str, check: Check, kind: str) -> Finding | None:
        """One finding, if there is one."""
        return self.findings.get((task, check, kind))

    def any(self, task: str) -> Finding | None:
        """Some finding of a task, for what all of them share."""
        return next((each for key, each in self.findings.items() if key[0] == task), None)

    def fates(self, task: str) -> dict[str, str]:
        """What became of each mutant over all devices: killed where one device killed it."""
        found: dict[str, set[str]] = {}
        for kind in self.kinds:
            finding = self.one(task, Check.MUTANTS, kind)
            for fate in FATES if finding else ():
                for mutant in finding.figures.get(fate, ()) if finding else ():
                    found.setdefault(mutant, set()).add(fate)
        return {mutant: next(fate for fate in FATES if fate in fates) for mutant, fates in found.items()}


def tables(proof: Proof) -> list[Table]:
    """All of the page: tasks by checks, workloads, mutants that lived, waivers."""
    parts = [checks_table(proof), workloads_table(proof), survivors_table(proof), waivers_table(proof)]
    return [table for table in parts if table.columns and table.columns[0].cells]


def checks_table(proof: Proof) -> Table:
    """Tasks by checks: a word where a check is proven, what is wanting where not."""
    marks = {kind: "" if len(proof.kinds) == 1 else f"\n{_short(kind)}" for kind in proof.kinds}
    columns = [
        Column("task", proof.tasks, text=True, names=True),
        Column(
            "digest", tuple(each.task_digest[:8] if (each := proof.any(t)) else "-" for t in proof.tasks), text=True
        ),
        Column("level", tuple(str(each.level) if (each := proof.any(t)) else "-" for t in proof.tasks)),
    ]
    for check in Check:
        kinds = proof.kinds[:1] if check in (Check.PAGE, Check.CASES) else proof.kinds
        for kind in kinds:
            cells = tuple(_cell(proof.one(task, check, kind)) for task in proof.tasks)
            if any(cell != "-" for cell in cells):
                mark = "" if check in (Check.PAGE, Check.CASES, Check.LIMIT) else marks[kind]
                columns.append(Column(f"{check}{mark}", cells, text=True))
    killed, counted = _killed(proof)
    proven = sum(_is_proven(proof, task) for task in proof.tasks)
    facts = [*proof.devices, f"{proven} of {len(proof.tasks)} tasks are proven on {' and '.join(proof.kinds)}"]
    if counted:
        facts.append(f"mutants: {killed} of {counted} killed ({killed / counted:.1%})")
    legend = (
        "page: the instruction is complete. cases: they vary what must vary. nulls: answers that compute nothing are "
        "wrong. reference: right with many fresh seeds. mutants: of those that are programs at all and no equivalents, "
        "how many were found. limit: the best share of the hardware's limit over the workloads that are not bound by "
        "the launch. (w): proven but for what the task waives, see below.",
    )
    return Table("Proof", tuple(facts), tuple(columns), (), legend)


def _is_proven(proof: Proof, task: str) -> bool:
    findings = [each for key, each in proof.findings.items() if key[0] == task]
    wanted = {
        (check, kind) for kind in proof.kinds for check in Check if check is not Check.LIMIT or kind != "interpreter"
    }
    good = {(each.check, each.device_kind) for each in findings if each.result is not Result.FAILED}
    return wanted <= good


def _killed(proof: Proof) -> tuple[int, int]:
    fates = [fate for task in proof.tasks for fate in proof.fates(task).values()]
    return fates.count("killed"), sum(fate in ("killed", "survived", "unreached") for fate in fates)


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "-"
    if finding.result is Result.FAILED and finding.check is not Check.MUTANTS:
        return "FAILED"
    mark = {Result.PROVEN: "", Result.WAIVED: " (w)", Result.FAILED: " FAILED"}[finding.result]
    return _TEXTS[finding.check](finding.figures) + mark


def _rate(figures: Figures) -> str:
    killed, survived = len(figures["killed"]), len(figures["survived"])
    return f"{killed}/{killed + survived}"


_TEXTS: dict[Check, Callable[[Figures], str]] = {
    Check.PAGE: lambda figures: str(figures["tolerance"]),
    Check.CASES: lambda figures: str(figures["cases"]),
    Check.NULLS: lambda figures: f"{len(figures)} wrong",
    Check.REFERENCE: lambda figures: f"{figures['seeds']} seeds",
    Check.MUTANTS: _rate,
    Check.LIMIT: lambda figures: "launch" if figures["best_fraction"] is None else f"{figures['best_fraction']:.0%}",
}
"""What a cell says of a check's figures."""


def workloads_table(proof: Proof) -> Table:
    """Every workload of every task on the GPUs: the reference beside the limit and beside PyTorch."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for task in proof.tasks:
        for kind in proof.kinds:
            finding = proof.one(task, Check.LIMIT, kind)
            rows += [(task, each) for each in finding.figures.get("workloads", [])] if finding else []
    columns = (
        Column("task", tuple(task for task, _ in rows), text=True, names=True),
        Column("workload", tuple(clean(each["workload"]) for _, each in rows), text=True, elastic=True),
        Column("reference\nµs", tuple(_us(each["reference_us"]) for _, each in rows)),
        Column("% of\nlimit", tuple(_percent(each["fraction"]) for _, each in rows)),
        Column("eager\nµs", tuple(_us(each["eager_us"]) for _, each in rows)),
        Column("compiled\nµs", tuple(_us(each["compiled_us"]) for _, each in rows)),
        Column("speedup over itself", tuple(ratio(e["speedup"], e["low"], e["high"]) for _, e in rows)),
        Column("", tuple("launch-bound" if each["reference_us"] < 20 else "" for _, each in rows), text=True),
    )
    large = [each for _, each in rows if each["reference_us"] >= LARGE_US]
    names = {
        task for task, each in rows if each["reference_us"] >= LARGE_US and (each["fraction"] or 0) >= GOOD_FRACTION
    }
    facts = (
        f"{len(names)} of {len(proof.tasks)} references reach {GOOD_FRACTION:.0%} of the limit measured on the device "
        f"on a workload of {LARGE_US:g} µs or more; there are {len(large)} such workloads.",
    )
    legend = (
        "limit: the least time by the rates measured on this device (copy bandwidth, the vendor's library's matrix "
        "rate). eager, compiled: what a user of PyTorch would write, and the same through torch.compile.",
    )
    return Table("Workloads", facts if rows else (), columns, (), legend)


def survivors_table(proof: Proof) -> Table:
    """Mutants that were not killed, with the reason where there is one."""
    rows: list[tuple[str, str, str]] = []
    for task in proof.tasks:
        reasons: dict[str, str] = {}
        for kind in proof.kinds:
            finding = proof.one(task, Check.MUTANTS, kind)
            reasons.update(finding.figures.get("reasons", {}) if finding else {})
        fates = proof.fates(task)
        rows += [(task, mutant, "SURVIVED") for mutant in fates if fates[mutant] in ("survived", "unreached")]
        rows += [(task, each, f"equivalent: {reasons.get(each, '')}") for each in fates if fates[each] == "equivalent"]
    columns = tuple(
        Column(name, tuple(clean(row[number]) for row in rows), text=True, names=number == 0, elastic=number > 0)
        for number, name in enumerate(("task", "mutant", "what it is"))
    )
    return Table("Mutants that live", (), columns)


def waivers_table(proof: Proof) -> Table:
    """What tasks waive, with the reasons."""
    rows: dict[tuple[str, str, str], None] = {}
    for (task, check, _), finding in sorted(proof.findings.items()):
        if finding.result is Result.WAIVED:
            for sentence in finding.sentences:
                rows[(task, check, sentence)] = None
    columns = tuple(
        Column(name, tuple(clean(row[number]) for row in rows), text=True, names=number == 0, elastic=number > 1)
        for number, name in enumerate(("task", "check", "waived"))
    )
    return Table("Waivers", (), columns)


def _short(kind: str) -> str:
    return {"interpreter": "interpreter", "cuda": "GPU", "hip": "GPU (hip)"}[kind]


def _us(value: float | None) -> str:
    return microseconds(float("nan") if value is None else value)


def _percent(value: float | None) -> str:
    return whole_percent(float("nan") if value is None else value)
