"""A comparison for people: a sentence for each pair, what was not alike, one table of figures, one of changed tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.comparable import name_of
from reports.comparison import Comparison, Measure, Pair
from reports.power import POWER
from reports.table import Column, Table, clean, ratio, with_bounds

_NAMES = 12
"""Tasks that a line names, at most; the second table has all that changed."""


def sentences(found: Comparison) -> list[str]:
    """The verdict on each pair in one sentence: better, worse, or no difference shown."""
    return [_sentence(found, pair) for pair in found.pairs]


def verdicts(found: Comparison) -> list[str]:
    """The sentences, and what must be said beside them, a line each."""
    return [
        *(f"{text}." for text in sentences(found)),
        f"BASE {clean(found.base)}, NEW {clean(found.new)}",
        *(line for pair in found.pairs for line in _facts(found, pair)),
        *(f"NOT COMPARED: {each}" for each in found.alone),
    ]


def tables(found: Comparison) -> list[Table]:
    """The figures, and the tasks with another share of right samples."""
    rows = [(pair, measure) for pair in found.pairs for measure in pair.measures]
    columns = (
        Column("pair", tuple(_who(pair) for pair, _ in rows), text=True, names=True),
        Column("measure", tuple(_measure(pair, each) for pair, each in rows), text=True, names=True),
        Column("tasks", tuple(str(each.tasks) for _, each in rows)),
        Column("BASE", tuple(_level(each, each.base) for _, each in rows)),
        Column("NEW", tuple(_level(each, each.new) for _, each in rows)),
        Column("change", tuple(_change(each) for _, each in rows)),
        Column("p worse", tuple(_chance(each.worse_corrected, each) for _, each in rows)),
        Column("p better", tuple(_chance(each.better_corrected, each) for _, each in rows)),
        Column("smallest\nloss", tuple(_loss(each) for _, each in rows)),
    )
    changes = [(pair, change) for pair in found.pairs for change in pair.changes]
    shown = [Table("Comparison", tuple(verdicts(found)), columns, (), _legend(found), _data(found))]
    if changes:
        changed = (
            Column("pair", tuple(_who(pair) for pair, _ in changes), text=True, names=True),
            Column("task", tuple(clean(each.task, 80) for _, each in changes), text=True, names=True),
            Column("change", tuple(each.kind for _, each in changes), text=True),
            Column("right in\nBASE", tuple(each.base for _, each in changes)),
            Column("right in\nNEW", tuple(each.new for _, each in changes)),
            Column("what was wrong", tuple(clean(each.outcome, 80) for _, each in changes), text=True),
        )
        shown.append(Table("Tasks that changed", (), changed, data=_changes_data(found)))
    return shown


def _sentence(found: Comparison, pair: Pair) -> str:
    worse, better = found.worse(pair), found.better(pair)
    beyond = f" by more than {found.threshold:g}" if found.threshold else ""
    parts = [f"worse{beyond}: {_all(worse)}"] if worse else []
    parts += [f"better{beyond}: {_all(better)}"] if better else []
    if not pair.tasks:
        return f"{_who(pair)}: nothing to compare, no task has a verdict on both sides{_caveats(pair)}{_owed(pair)}"
    if not parts:
        told = ", ".join(_moved(each) for each in pair.measures if each.tasks and each.name != "call")
        shown = [_would(each) for each in pair.measures if each.name != "call" and not math.isnan(each.smallest)]
        enough = (
            f"; {100 * POWER:g} % of such comparisons would show a loss of {', or of '.join(shown)}" if shown else ""
        )
        few = "; so few tasks can show nothing" if not shown else ""
        parts = [f"no difference{beyond} shown: {told}{enough}{few}"]
    return f"{_who(pair)}, {_number(range(pair.tasks))}: {'; '.join(parts)}{_caveats(pair)}{_owed(pair)}"


def _all(measures: Sequence[Measure]) -> str:
    chances = {each.name: min(each.worse_corrected, each.better_corrected) for each in measures}
    return ", ".join(f"{_moved(each)} (p {_p(chances[each.name])})" for each in measures)


def _moved(each: Measure) -> str:
    if each.name == "speed":
        return f"speed ×{ratio(math.exp(each.change), decimals=3)}"
    return f"{each.name} {100 * each.base:.1f} % to {100 * each.new:.1f} %"


def _would(each: Measure) -> str:
    if each.name == "speed":
        return f"speed to ×{ratio(math.exp(-each.smallest), decimals=3)}"
    return f"{100 * each.smallest:.1f} points of {each.name}"


def _caveats(pair: Pair) -> str:
    """What a reader of the sentence alone must know."""
    sides = pair.sides
    told = [f"speed is not compared ({sides.speed_refused})"] if sides.speed_refused else []
    told += [f"not alike: {', '.join(each.partition(':')[0] for each in sides.differing)}"] if sides.differing else []
    told += [f"left out: {_number(names)} {why}" for why, names in sides.left_out.items()]
    return "".join(f"; {each}" for each in told)


def _owed(pair: Pair) -> str:
    told = [
        f"{owed} of {planned} attempts of {side}"
        for side, owed, planned in zip(("BASE", "NEW"), pair.sides.owed, pair.sides.planned, strict=True)
        if owed
    ]
    return f"; owed, and no evidence: {' and '.join(told)}" if told else ""


def _facts(found: Comparison, pair: Pair) -> list[str]:
    """What must be said beside the figures of a pair."""
    who = f"{_who(pair)}: " if len(found.pairs) > 1 else ""
    lines = [f"NOT ALIKE: {who}{each}" for each in pair.sides.differing]
    lines += [f"LEFT OUT: {who}{_number(names)} {why}: {_some(names)}" for why, names in pair.sides.left_out.items()]
    for kind, word in (("broken", "newly broken"), ("fixed", "newly fixed")):
        if names := pair.named(kind):
            lines.append(f"{who}{word}: {_some(names)}")
    if pair.attempts[0] != pair.attempts[1]:
        lines.append(f"{who}not as many samples: BASE {pair.attempts[0]} attempts, NEW {pair.attempts[1]}")
    if pair.untimed:
        lines.append(f"{who}right on both sides, but not timed on both, and in no speed: {pair.untimed}")
    if any(pair.unsupported):
        lines.append(
            f"{who}unsupported here, and so not passed: BASE {pair.unsupported[0]}, NEW {pair.unsupported[1]} attempts"
        )
    return lines


def _number(tasks: Sequence[object]) -> str:
    return "1 task" if len(tasks) == 1 else f"{len(tasks)} tasks"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(clean(name, 80) for name in names[:_NAMES]) + more


def _who(pair: Pair) -> str:
    names = dict.fromkeys((name_of(pair.base), name_of(pair.new)))
    return " → ".join(names)


def _measure(pair: Pair, each: Measure) -> str:
    if each.name != "speed":
        return f"{each.name} %"
    return "speed, interpreted" if _interpreted(pair) else "speed"


def _interpreted(pair: Pair) -> bool:
    return bool((pair.sides.before["clock"] == "interpreted").any())


def _level(each: Measure, value: float) -> str:
    if math.isnan(value):
        return "-"
    return ratio(value) if each.name == "speed" else f"{100 * value:.1f}"


def _change(each: Measure) -> str:
    if math.isnan(each.change):
        return "-"
    if each.name == "speed":
        return f"×{ratio(math.exp(each.change), math.exp(each.low), math.exp(each.high), decimals=3)}"
    return with_bounds(*(f"{100 * value:+.1f}" for value in (each.change, each.low, each.high)))


def _chance(chance: float, each: Measure) -> str:
    return _p(chance) if each.tasks else "-"


def _p(chance: float) -> str:
    return f"{chance:.3f}" if chance >= 0.001 else "<0.001"


def _loss(each: Measure) -> str:
    if math.isnan(each.smallest):
        return "none"
    return f"×{ratio(math.exp(-each.smallest), decimals=3)}" if each.name == "speed" else f"{100 * each.smallest:.1f}"


def _legend(found: Comparison) -> tuple[str, ...]:
    sure = f"{100 * found.confidence:g} %"
    beyond = f", by more than the threshold {found.threshold:g}" if found.threshold else ""
    return (
        "Paired by task; every task counts the same. change: NEW - BASE in points; of speed NEW / BASE, over tasks "
        f"right and timed in both; each bound holds with {sure}. p worse, p better: the chance of so much{beyond}, "
        "were the two alike; one-sided, corrected for all questions of this table (Westfall and Young). A difference "
        f"is shown where it is at most {100 * (1 - found.confidence):g} %. Accuracy with one sample a task: exact "
        "McNemar; else, and for speed, a wild cluster bootstrap over tasks.",
        f"smallest loss: what so many tasks show in {100 * POWER:g} % of comparisons, with the scatter seen; none: no "
        "loss, however large.",
    )


def _data(found: Comparison) -> pd.DataFrame:
    rows = [
        {
            **{"base_solver": pair.base[0], "base_model": pair.base[1]},
            **{"new_solver": pair.new[0], "new_model": pair.new[1]},
            "measure": f"interpreted_{each.name}" if each.name == "speed" and _interpreted(pair) else each.name,
            **{"tasks": each.tasks, "base": each.base, "new": each.new},
            "change": math.exp(each.change) if each.name == "speed" else each.change,
            "low": math.exp(each.low) if each.name == "speed" else each.low,
            "high": math.exp(each.high) if each.name == "speed" else each.high,
            **{"p_worse": each.worse, "p_better": each.better},
            **{"p_worse_corrected": each.worse_corrected, "p_better_corrected": each.better_corrected},
            "smallest_loss": math.exp(-each.smallest) if each.name == "speed" else each.smallest,
            "verdict": "worse"
            if each in found.worse(pair)
            else "better"
            if each in found.better(pair)
            else "none shown",
        }
        for pair in found.pairs
        for each in pair.measures
    ]
    return pd.DataFrame(rows)


def _changes_data(found: Comparison) -> pd.DataFrame:
    rows = [
        {
            **{"base_solver": pair.base[0], "base_model": pair.base[1]},
            **{"new_solver": pair.new[0], "new_model": pair.new[1]},
            **{"task": each.task, "verdict": each.kind, "right_base": each.base, "right_new": each.new},
            "outcome": each.outcome,
        }
        for pair in found.pairs
        for each in pair.changes
    ]
    return pd.DataFrame(rows)
