"""Published tasks as a checkout's files have them, and where each repository keeps what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """One task of a checkout, as its files have it."""

    name: str
    """The file's stem; of KernelBench "level1_" and the stem."""
    file: str
    """Path within the checkout, with forward slashes."""
    form: str
    """What the file is: "script" (TritonBench), "pytest" (ROCm) or "module" (KernelBench)."""
    level: int | None
    """1 to 5 by the data's difficulty, or KernelBench's level; None where the data gives none."""
    origin: str
    """Repository that the data names as the source, or ""."""
    instructions: Mapping[str, str]
    """By kind, "simple" and "complex"; empty where the checkout has none."""
    solution: str
    """The reference: what stands above the line; of KernelBench the whole file."""
    test: str
    """What stands below the line; "" for KernelBench."""
    variable: str
    """Module variable where the test leaves its values; "" for KernelBench, and where the test leaves none."""
    labels: tuple[str, ...]
    """Texts by which published answers name this task. TritonBench-G: the data's `output`, which an answer's `label`
    repeats (some cut it short). TritonBench-T: the data's `description`, which an answer's prompt holds; its `output`
    is empty everywhere."""
    performance: str = ""
    """The file that times a solution of TritonBench; "" where there is none."""


@dataclass(frozen=True)
class Collection:
    """The tasks that a repository publishes under one name."""

    name: str
    """One of the names in `LAYOUTS`."""
    tasks: tuple[Published, ...]
    """By name; never empty."""


@dataclass(frozen=True)
class Checkout:
    """What a folder holds of a published repository."""

    folder: Path
    commit: str
    """40 hex digits, or "" where the folder is no git work tree of its own."""
    collections: tuple[Collection, ...]
    """In the order of `LAYOUTS`."""
    notes: tuple[str, ...]
    """One line each: what is missing or strange."""


@dataclass(frozen=True)
class Layout:
    """Where a repository keeps one collection, and how its data is paired with its files."""

    collection: str
    repository: str
    """owner/name on GitHub."""
    folder: str
    """Of the task files; of the form "module", of the folders level1, level2 and so on."""
    form: str
    published: int | None
    """Tasks that the repository publishes; None where whatever is there counts."""
    statistics: str = ""
    """JSON list with a row for each file."""
    instructions: Mapping[str, str] = field(default_factory=dict)
    """By kind: JSON list of rows with `instruction` and `output`, without the file's name."""
    quoted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By kind: keys of a statistics row whose texts stand in the instruction of the same task."""
    label: str = ""
    """Key of a statistics row whose text published answers repeat."""
    performance: str = ""
    """Folder of files that time a solution, each named after its task and `_perf`."""


LAYOUTS = (
    Layout(
        "tritonbench-g",
        "thunlp/TritonBench",
        "data/TritonBench_G_v1",
        "script",
        184,
        "data/TritonBench_G_v1.json",
        {"simple": "data/TritonBench_G_simp_alpac_v1.json", "complex": "data/TritonBench_G_comp_alpac_v1.json"},
        {"simple": ("simp_instru",), "complex": ("comp_instru",)},
        "output",
        "performance_metrics/perf_G/golden_metrics",
    ),
    Layout(
        "tritonbench-t",
        "thunlp/TritonBench",
        "data/TritonBench_T_v1",
        "script",
        166,
        "data/TritonBench_T_v1.jsonl",
        {"simple": "data/TritonBench_T_simp_alpac_v1.json", "complex": "data/TritonBench_T_comp_alpac_v1.json"},
        {"simple": ("description", "func_inputs"), "complex": ("description", "func_inputs")},
        "description",
        "performance_metrics/perf_T/golden_metrics",
    ),
    Layout(
        "tritonbench-g-revised",
        "AMD-AGI/GEAK-eval",
        "geak_eval/data/TritonBench/data/TritonBench_G_v1",
        "script",
        184,
        performance="geak_eval/data/TritonBench/performance_metrics/perf_G/golden_metrics",
    ),
    Layout("rocm-published", "AMD-AGI/GEAK-eval", "geak_eval/data/ROCm/data/ROCm_v1", "pytest", 31),
    Layout("rocm-published-autotune", "AMD-AGI/GEAK-eval", "geak_eval/data/ROCm/data/ROCm_v1_autotune", "pytest", 31),
    Layout("kernelbench", "ScalingIntelligence/KernelBench", "KernelBench", "module", None),
)
ORIGINAL, REVISED = "tritonbench-g", "tritonbench-g-revised"
