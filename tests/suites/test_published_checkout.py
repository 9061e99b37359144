"""Checkouts of the published repositories are read as data, whatever their folders are called and whatever they lack.

The checkouts here are tiny ones of our own, laid out as the published ones are. With KERNEL_ASSAY_CHECKOUTS set to real
ones (paths parted by os.pathsep), their published counts are checked too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import UsageError
from suites.published.checkout import joined, read
from tests.suites.small_checkouts import (
    KERNEL,
    LINE,
    MODULE,
    PYTEST_TEST,
    SCRIPT_TEST,
    collection,
    git,
    modules,
    noted,
    original,
    repository,
    revised,
    script,
    task,
    write,
)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (original, {"tritonbench-g": ["double", "half", "late"], "tritonbench-t": ["gelu", "gelu_add"]}),
        (
            revised,
            {
                "tritonbench-g-revised": ["double", "own"],
                "rocm-published": ["gemm", "softmax"],
                "rocm-published-autotune": ["gemm", "softmax"],
            },
        ),
        (modules, {"kernelbench": ["level1_10_Scale", "level1_7_Scale", "level3_7_Scale"]}),
    ],
)
@pytest.mark.parametrize("called", ["anything", "KernelBench", "data"])
def test_a_checkout_is_known_by_what_it_holds(
    tmp_path: Path, make: Callable[[Path], Path], names: dict[str, list[str]], called: str
) -> None:
    checkout = read(make(tmp_path / called))
    assert {each.name: [task.name for task in each.tasks] for each in checkout.collections} == names
    assert checkout.folder == (tmp_path / called).resolve()


def test_g_gives_levels_origins_instructions_halves_and_labels(tmp_path: Path) -> None:
    checkout = read(original(tmp_path))
    double = task(checkout, "double", "tritonbench-g")
    assert (double.file, double.form, double.level) == ("data/TritonBench_G_v1/double.py", "script", 3)
    assert double.origin == "someone/double"
    assert set(double.instructions) == {"simple", "complex"}
    assert "Multiply by 2." in double.instructions["simple"]
    assert "scaled(x) that multiplies by 2." in double.instructions["complex"]
    assert double.solution == f"# 2\n{KERNEL}\n"
    assert double.test == SCRIPT_TEST
    assert double.variable == "result_gold"
    assert double.labels == (f"\n# 2\n{KERNEL}",)


def test_an_instruction_with_another_solution_is_paired_by_its_text(tmp_path: Path) -> None:
    late = task(read(original(tmp_path)), "late", "tritonbench-g")
    assert "Multiply by 5." in late.instructions["simple"]
    assert late.labels == (f"\n# 5\n{KERNEL}", "# an older one\n")


def test_t_is_paired_by_its_statistics_and_named_by_its_description(tmp_path: Path) -> None:
    checkout = read(original(tmp_path))
    gelu = task(checkout, "gelu", "tritonbench-t")
    assert dict(gelu.instructions) == {"simple": "simp: GELU. Entry: gelu(x)", "complex": "comp: GELU. Entry: gelu(x)"}
    assert (gelu.level, gelu.origin, gelu.variable, gelu.labels) == (1, "", "test_results", ("GELU.",))


def test_a_pytest_file_is_parted_at_the_line_of_146_alone(tmp_path: Path) -> None:
    checkout = read(revised(tmp_path))
    gemm = task(checkout, "gemm", "rocm-published-autotune")
    assert gemm.solution == f"{'#' * 60}\n# ROCm_v1_autotune\n{'#' * 145}\n\n"
    assert gemm.test == PYTEST_TEST
    assert (gemm.form, gemm.variable, gemm.level, gemm.labels) == ("pytest", "result_gold", None, ())
    assert not gemm.instructions


def test_a_module_is_a_solution_as_a_whole(tmp_path: Path) -> None:
    checkout = read(modules(tmp_path))
    scale = task(checkout, "level3_7_Scale", "kernelbench")
    assert (scale.file, scale.form, scale.level) == ("KernelBench/level3/7_Scale.py", "module", 3)
    assert (scale.solution, scale.test, scale.variable) == (MODULE, "", "")
    assert not noted(checkout, "kernelbench")


def test_a_module_that_lacks_a_name_is_noted(tmp_path: Path) -> None:
    write(modules(tmp_path), "KernelBench/level1/8_Odd.py", MODULE.replace("get_inputs", "inputs"))
    assert noted(read(tmp_path), "KernelBench/level1/8_Odd.py", "get_inputs")


@pytest.mark.parametrize(
    ("ending", "variable"),
    [
        ("output = test_scaled()\n", "output"),
        ("first = test_scaled()\nsecond: dict = test_scaled()\nn = len(second)\n", "second"),
        ("if __name__ == '__main__':\n    values = test_scaled()\n    for v in values:\n        print(v)\n", "values"),
        ("try:\n    pass\nfinally:\n    last = test_scaled()\n", "last"),
        ("def main():\n    inner = test_scaled()\n", ""),
        ("test_scaled()\n", ""),
    ],
)
def test_the_variable_is_what_the_module_keeps_of_its_tests(tmp_path: Path, ending: str, variable: str) -> None:
    odd = f"def test_scaled():\n    kept = test_scaled\n    return {{}}\n\n{ending}"
    write(original(tmp_path), "data/TritonBench_G_v1/double.py", script(f"# 2\n{KERNEL}", odd))
    checkout = read(tmp_path)
    assert task(checkout, "double", "tritonbench-g").variable == variable
    assert noted(checkout, "double.py", "no module variable") == (not variable)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (KERNEL, ("no lines of 146",)),
        (script(line="#" * 147), ("no lines of 146",)),
        (script(test=f"\n{LINE}\n"), ("2 lines of 146",)),
        (b"# \xff\n", ("UTF-8",)),
    ],
)
def test_a_broken_file_is_left_out_with_a_note(tmp_path: Path, content: str | bytes, words: tuple[str, ...]) -> None:
    write(original(tmp_path), "data/TritonBench_G_v1/half.py", content)
    checkout = read(tmp_path)
    assert [each.name for each in collection(checkout, "tritonbench-g").tasks] == ["double", "late"]
    assert noted(checkout, "data/TritonBench_G_v1/half.py", "left out", *words)
    assert noted(checkout, "tritonbench-g", "2 tasks", "184")
    assert not noted(checkout, "belongs to no task") and not noted(checkout, "no row")


def test_a_test_half_that_is_no_python_keeps_its_task(tmp_path: Path) -> None:
    write(original(tmp_path), "data/TritonBench_G_v1/half.py", script(f"# 0.5\n{KERNEL}", "def test_(:\n"))
    checkout = read(tmp_path)
    assert task(checkout, "half", "tritonbench-g").variable == ""
    assert noted(checkout, "half.py", "no Python")


def test_a_missing_folder_is_noted(tmp_path: Path) -> None:
    root = original(tmp_path)
    for path in (root / "data/TritonBench_T_v1").iterdir():
        path.unlink()
    (root / "data/TritonBench_T_v1").rmdir()
    checkout = read(root)
    assert [each.name for each in checkout.collections] == ["tritonbench-g"]
    assert noted(checkout, "data/TritonBench_T_v1 is missing")


def test_a_missing_file_is_noted_by_name(tmp_path: Path) -> None:
    root = original(tmp_path)
    (root / "data/TritonBench_G_v1/half.py").unlink()
    checkout = read(root)
    assert noted(checkout, "data/TritonBench_G_v1.json", "rows of no file", "half")
    assert noted(checkout, "tritonbench-g", "2 tasks", "184")


def test_a_task_without_data_is_noted_by_name(tmp_path: Path) -> None:
    root = original(tmp_path)
    write(root, "data/TritonBench_G_v1/more.py", script("# 7\n"))
    checkout = read(root)
    assert task(checkout, "more", "tritonbench-g").level is None
    assert noted(checkout, "data/TritonBench_G_v1.json has no row for more")
    assert noted(checkout, "data/TritonBench_G_simp_alpac_v1.json has no row for more")


def test_a_row_of_instructions_that_two_tasks_could_own_is_nobodys(tmp_path: Path) -> None:
    root = original(tmp_path)
    rows = json.loads((root / "data/TritonBench_G_simp_alpac_v1.json").read_text())
    rows[1] = {"instruction": "Multiply by 2. Multiply by 5.", "output": ""}
    write(root, "data/TritonBench_G_simp_alpac_v1.json", rows)
    checkout = read(root)
    assert noted(checkout, "data/TritonBench_G_simp_alpac_v1.json", "row 2", "no task")
    assert set(task(checkout, "late", "tritonbench-g").instructions) == {"complex"}


@pytest.mark.parametrize("content", ["[{", "{}", "[1]", b"\xff"])
def test_broken_statistics_leave_no_levels(tmp_path: Path, content: str | bytes) -> None:
    root = original(tmp_path)
    write(root, "data/TritonBench_G_v1.json", content)
    checkout = read(root)
    double = task(checkout, "double", "tritonbench-g")
    assert (double.level, double.origin) == (None, "")
    assert set(double.instructions) == {"simple", "complex"}, "paired by its solution"
    assert double.labels == (f"\n# 2\n{KERNEL}",)
    assert noted(checkout, "data/TritonBench_G_v1.json", "left out")
    assert task(checkout, "gelu", "tritonbench-t").level == 1


def test_missing_instructions_are_noted_once(tmp_path: Path) -> None:
    root = original(tmp_path)
    (root / "data/TritonBench_G_comp_alpac_v1.json").unlink()
    checkout = read(root)
    assert set(task(checkout, "double", "tritonbench-g").instructions) == {"simple"}
    assert [note for note in checkout.notes if "G_comp" in note] == ["data/TritonBench_G_comp_alpac_v1.json is missing"]


@pytest.mark.parametrize("difficulty", ["6", 0, None, True, "hard", "9" * 5000])
def test_a_strange_difficulty_is_unknown(tmp_path: Path, difficulty: object) -> None:
    root = original(tmp_path)
    rows = json.loads((root / "data/TritonBench_T_v1.jsonl").read_text())
    rows[0]["difficulty"] = difficulty
    write(root, "data/TritonBench_T_v1.jsonl", rows)
    checkout = read(root)
    assert task(checkout, "gelu_add", "tritonbench-t").level is None
    assert noted(checkout, "difficulty", "gelu_add")


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in (str(folder), *words))


def test_what_is_no_checkout_is_refused_with_the_way_to_get_one(tmp_path: Path) -> None:
    urls = [
        f"git clone https://github.com/{name}"
        for name in ("thunlp/TritonBench", "AMD-AGI/GEAK-eval", "ScalingIntelligence/KernelBench")
    ]
    refused(tmp_path / "nowhere", "does not exist", *urls)
    write(tmp_path, "file", "")
    refused(tmp_path / "file", "no folder", *urls)
    (tmp_path / "TritonBench").mkdir()
    refused(tmp_path / "TritonBench", "nothing of a known repository", *urls)


def test_a_checkout_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a/data/TritonBench_G_v1").mkdir(parents=True)
    refused(tmp_path / "a", "no task", "git -C")
    (tmp_path / "b/KernelBench/level1").mkdir(parents=True)
    refused(tmp_path / "b", "no task", "git -C")


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (revised, "geak_eval/data/TritonBench"),
        (original, "data/TritonBench_G_v1"),
        (original, "data"),
        (modules, "KernelBench"),
        (modules, "KernelBench/level1"),
    ],
)
def test_a_part_of_a_checkout_is_not_taken_for_another(tmp_path: Path, make: Callable[[Path], Path], part: str) -> None:
    root = make(tmp_path / "clone").resolve()
    refused(tmp_path / "clone" / part, "only a part", f"give {root}")


def test_the_commit_of_a_branch_a_detached_head_and_packed_refs(tmp_path: Path) -> None:
    root = modules(tmp_path / "clone")
    first = repository(root)
    checkout = read(root)
    assert checkout.commit == first and not noted(checkout, "commit")
    git(root, "pack-refs", "--all")
    assert read(root).commit == first
    git(root, "commit", "--quiet", "--allow-empty", "--message", "second")
    second = git(root, "rev-parse", "HEAD")
    assert read(root).commit == second != first, "a loose ref is newer than a packed one"
    git(root, "checkout", "--quiet", "--detach", first)
    assert read(root).commit == first


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_of_a_linked_work_tree(tmp_path: Path, packed: bool) -> None:
    root = modules(tmp_path / "clone")
    first = repository(root)
    git(root, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    git(tmp_path / "linked", "commit", "--quiet", "--allow-empty", "--message", "second")
    if packed:
        git(root, "pack-refs", "--all")
    assert read(root).commit == first
    assert read(tmp_path / "linked").commit == git(tmp_path / "linked", "rev-parse", "HEAD") != first


def test_a_folder_inside_another_repository_has_no_commit(tmp_path: Path) -> None:
    root = modules(tmp_path / "outer" / "copied")
    repository(tmp_path / "outer")
    checkout = read(root)
    assert checkout.commit == "" and noted(checkout, "commit is not known")


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    root = modules(tmp_path)
    git(root, "init", "--quiet")
    assert read(root).commit == ""
    (root / ".git" / "HEAD").write_bytes(b"\xff\0")
    assert read(root).commit == ""


def test_revised_tasks_take_what_the_original_ones_have(tmp_path: Path) -> None:
    first, second = read(original(tmp_path / "a")), read(revised(tmp_path / "b"))
    found = {each.name: each for each in joined([second, first])}
    assert list(found) == [
        "tritonbench-g",
        "tritonbench-t",
        "tritonbench-g-revised",
        "rocm-published",
        "rocm-published-autotune",
    ]
    double, own = found["tritonbench-g-revised"].tasks
    given = task(first, "double", "tritonbench-g")
    assert (double.level, double.origin, double.labels) == (given.level, given.origin, given.labels)
    assert double.instructions == given.instructions
    assert double.solution == "# revised double\n\n"
    assert (own.level, own.origin, own.labels, dict(own.instructions)) == (None, "", (), {})


def test_revised_tasks_alone_stay_as_they_are(tmp_path: Path) -> None:
    checkout = read(revised(tmp_path))
    assert joined([checkout]) == checkout.collections
    assert joined([]) == ()


def test_two_checkouts_of_one_collection_are_refused(tmp_path: Path) -> None:
    checkouts = [read(modules(tmp_path / name)) for name in ("a", "b")]
    with pytest.raises(UsageError, match=r"kernelbench is in two checkouts, .*a and .*b: give one"):
        joined(checkouts)


@pytest.mark.skipif("KERNEL_ASSAY_CHECKOUTS" not in os.environ, reason="KERNEL_ASSAY_CHECKOUTS names no checkouts")
def test_the_real_checkouts_are_whole() -> None:
    checkouts = [read(Path(folder)) for folder in os.environ["KERNEL_ASSAY_CHECKOUTS"].split(os.pathsep)]
    published = {
        "tritonbench-g": 184,
        "tritonbench-t": 166,
        "tritonbench-g-revised": 184,
        "rocm-published": 31,
        "rocm-published-autotune": 31,
        "kernelbench": 270,
    }
    found = {each.name: each.tasks for each in joined(checkouts)}
    assert {name: len(tasks) for name, tasks in found.items()} == {name: published[name] for name in found}
    without = {task.name for name in found if name != "kernelbench" for task in found[name] if not task.variable}
    assert without <= {"context_attn_bloom"}, "the one whose test half never calls its test"
    described = {"tritonbench-g", "tritonbench-t"} | ({"tritonbench-g-revised"} if "tritonbench-g" in found else set())
    for name in described & set(found):
        for each in found[name]:
            assert set(each.instructions) == {"simple", "complex"} and each.labels and each.level, each.name
    assert not [note for checkout in checkouts for note in checkout.notes if "left out" in note or "no row" in note]
