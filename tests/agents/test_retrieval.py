"""The example for a task: near it, never the task nor a near duplicate, the same every time; corpora of one's own."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace

import pytest
from scripted import TASK

from agents import retrieval
from agents.likeness import CODE, Portrait, code_likeness, family, near_duplicates
from agents.retrieval import Corpus, Entry, Example, first_sentence
from harness.errors import UsageError
from harness.solver import TaskView

CORPUS = Corpus.default()
ROCM = {entry.name: entry for entry in CORPUS.entries if entry.suite == "rocm"}

MATRIX = (
    *("gemm", "tma_store_gemm", "block_pointer_matmul", "gemm_no_scf", "cast_matmul", "iv_dependent_matmul"),
    *("multreduce_matmul_dot_kernel", "triton_multreduce_matmul_kernel"),
)
FAMILIES = (
    MATRIX,
    ("gemm_fusion", "chained_matmul", "chained_dot_fp8"),
    ("softmax", "naive_softmax"),
    ("layernorm", "rmsnorm_fwd", "rmsnorm_bwd"),
    ("add_kernel", "kernel_sub"),
    ("randn", "random_int"),
    ("reverse_range", "triton_flip"),
)
"""All that are near duplicates of one another; every other task of the suite stands alone."""
APART = (
    ("naive_softmax", "rmsnorm_fwd"),
    ("layernorm", "softmax"),
    ("block_copy", "add_kernel"),
    ("gemm", "gemm_fusion"),
    ("gemm", "moe_gemm"),
    ("gemm", "matmul_MXFP"),
    ("kernel_dot", "triton_multreduce_matmul_kernel"),
    ("batched_vecmat", "block_pointer_matmul"),
    ("flashattention_fwd", "chained_dot_fp8"),
    ("flashattention_fwd", "softmax"),
)
BY_CODE = (
    *(("naive_softmax", "softmax"), ("layernorm", "rmsnorm_fwd"), ("rmsnorm_fwd", "rmsnorm_bwd")),
    *(("add_kernel", "kernel_sub"), ("randn", "random_int"), ("gemm", "block_pointer_matmul")),
    *(("reverse_range", "triton_flip"), ("chained_matmul", "gemm_fusion")),
)


def view(entry: Entry) -> TaskView:
    return replace(
        TASK,
        name=entry.name,
        suite=entry.suite,
        entry_point=entry.entry_point,
        signature=f"{entry.entry_point}(…)",
        instruction=entry.text,
        category=entry.category,
        aliases=entry.aliases,
    )


def relatives(name: str) -> set[str]:
    return {each.name for each in family(ROCM[name], tuple(ROCM.values()))} - {name}


def own(tmp_path, *lines: dict[str, object] | str) -> Corpus:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return Corpus.from_file(path)


@pytest.mark.parametrize("name", sorted(ROCM))
def test_families_are_these(name):
    expected = next((set(each) for each in FAMILIES if name in each), {name})
    assert relatives(name) == expected - {name}


@pytest.mark.parametrize(("one", "other"), APART)
def test_these_pairs_are_not_duplicates(one, other):
    assert not near_duplicates(ROCM[one], ROCM[other]) and not near_duplicates(ROCM[other], ROCM[one])
    assert ROCM[other] in CORPUS.allowed(view(ROCM[one]))


@pytest.mark.parametrize(("one", "other"), BY_CODE)
def test_the_code_alone_tells_these(one, other):
    assert code_likeness(ROCM[one], ROCM[other]) >= CODE


@pytest.mark.parametrize(("one", "other"), [("naive_softmax", "rmsnorm_fwd"), ("layernorm", "softmax")])
def test_the_threshold_is_no_lower_than_it_must_be(one, other):
    assert CODE - 0.1 < code_likeness(ROCM[one], ROCM[other]) < CODE


def test_code_is_compared_without_names_layout_and_comments():
    source = ROCM["softmax"].source
    other = source.replace("x_ptr", "source").replace("n_cols", "width").replace("32768", "16384")
    other = "\n\n".join(f"{line}  # a comment" if line.endswith(")") else line for line in other.splitlines())
    assert code_likeness(Portrait("a", "", source), Portrait("b", "", other)) == 1.0


def test_a_source_that_is_no_python_is_compared_all_the_same():
    broken = ROCM["softmax"].source + "\n    oops("
    assert code_likeness(Portrait("a", "", broken), Portrait("b", "", broken)) == 1.0


@pytest.mark.parametrize("name", sorted(ROCM))
def test_neither_the_task_nor_its_family_is_shown(name):
    example = CORPUS.nearest(view(ROCM[name]))
    assert example is not None and example.name not in {name, *relatives(name)}
    assert example.source != ROCM[name].source


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("flashattention_fwd", {"chained_dot_fp8"}),
        ("moe_gemm", {"gemm"}),
        ("softmax", {"flashattention_fwd", "layernorm", "rmsnorm_fwd"}),
        ("naive_softmax", {"layernorm", "rmsnorm_fwd"}),
        ("layernorm", {"softmax", "naive_softmax"}),
        ("triton_sort", {"load_reduce", "triton_flip"}),
        ("batched_vecmat", set(MATRIX)),
    ],
)
def test_what_is_shown_is_near(name, wanted):
    assert Corpus(tuple(ROCM.values()), tuple(ROCM.values())).nearest(view(ROCM[name])).name in wanted


def test_the_same_name_alias_or_entry_point_is_left_out():
    task = view(ROCM["triton_sort"])
    other = Entry("x", "words", "def f(): pass", "here")
    for twin in (
        replace(other, name="Triton_Sort"),
        replace(other, entry_point="sort"),
        replace(other, name="test_sort"),
    ):
        assert not Corpus((twin,), CORPUS.known).allowed(task)
    assert Corpus((other,), CORPUS.known).allowed(task)


def test_a_twin_in_another_suite_is_left_out():
    twin = replace(ROCM["softmax"], suite="other", name="rows", entry_point="rows", text="Something.", origin="there")
    assert twin not in Corpus((*CORPUS.entries, twin), CORPUS.known).allowed(view(ROCM["softmax"]))


def test_a_corpus_of_ones_own_is_held_against_the_family_too(tmp_path):
    entry, relative = ROCM["tma_store_gemm"], ROCM["gemm"]
    lines = [
        {"name": "mine", "text": "something of mine", "source": entry.source},
        {"name": "also", "text": "some product", "source": relative.source},
        {"name": "sums", "text": "Rows are summed, product or not.", "source": ROCM["load_reduce"].source},
    ]
    example = own(tmp_path, *lines).nearest(view(entry))
    assert example == Example(
        "sums", "Rows are summed, product or not", lines[2]["source"], example.score, "own.jsonl:3"
    )
    assert own(tmp_path, *lines[:2]).nearest(view(entry)) is None


def test_a_task_of_no_installed_suite_is_compared_by_the_code_given_and_its_words(tmp_path):
    task = replace(TASK, name="far", entry_point="far", instruction="The softmax of all rows.")
    corpus = own(tmp_path, {"name": "mine", "text": "rows, softmax", "source": ROCM["softmax"].source})
    assert corpus.nearest(task).name == "mine"
    assert corpus.nearest(task, source_hidden=ROCM["naive_softmax"].source) is None
    same = own(tmp_path, {"name": "mine", "text": task.instruction, "source": "def f(): pass"})
    assert same.nearest(task) is None


def test_nothing_in_common_is_no_example(tmp_path):
    assert own(tmp_path, {"name": "q", "text": "zzz", "source": "def f(): pass"}).nearest(TASK) is None


def test_no_tasks_module_is_run():
    before = {name for name in sys.modules if name.startswith("_kernel_assay_tasks")}
    Corpus.default()
    assert {name for name in sys.modules if name.startswith("_kernel_assay_tasks")} == before


def test_the_order_of_the_entries_changes_nothing():
    shuffled = list(CORPUS.entries)
    random.Random(3).shuffle(shuffled)
    other = Corpus(tuple(shuffled), CORPUS.known)
    assert other.digest == CORPUS.digest
    assert [other.nearest(view(each)) for each in CORPUS.entries] == [
        CORPUS.nearest(view(each)) for each in CORPUS.entries
    ]


def test_equals_are_told_apart_by_name(tmp_path):
    lines = [{"name": name, "text": "Double every thing.", "source": "def f(): pass"} for name in ("b", "a")]
    assert own(tmp_path, *lines).nearest(replace(TASK, instruction="Double it, all of every row.")).name == "b"
    twins = tuple(Entry(name, "Double every thing.", "def f(): pass", "here") for name in ("b", "a"))
    assert Corpus(twins, ()).nearest(TASK).name == "a"


def test_the_digest_is_of_all_that_is_shown():
    first, *rest = CORPUS.entries
    assert Corpus((replace(first, source=first.source + "\n"), *rest), ()).digest != CORPUS.digest


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "own.jsonl:2: no JSON"),
        ("[1]", "own.jsonl:2: give name, text, source as text"),
        ('{"name": "a", "text": 1, "source": " "}', "own.jsonl:2: give text, source as text"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, says):
    with pytest.raises(UsageError, match=r"own\.jsonl:2") as caught:
        own(tmp_path, {"name": "a", "text": "b", "source": "c"}, line)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.jsonl can't be read"):
        Corpus.from_file(tmp_path / "nowhere.jsonl")
    with pytest.raises(UsageError, match="is empty"):
        own(tmp_path, "")


def test_without_the_package_there_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UsageError, match=r"pip install 'bm25s"):
        Corpus.default().nearest(view(ROCM["softmax"]))


def test_jax_is_kept_out_while_the_package_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    seen = {}
    monkeypatch.setattr(retrieval.importlib, "import_module", lambda name: seen.update(jax=sys.modules["jax"]))
    retrieval._bm25s()
    assert seen == {"jax": None} and "jax" not in sys.modules


def test_a_description_is_cut_to_its_first_sentence():
    text = "# name\n\n## Operation\n\nSum of all\nrows: one by one. And more.\n\n    y = x\n\n## Signature\n"
    assert first_sentence(text) == "Sum of all rows"
    assert first_sentence("# Title\n\nAll of it.") == "All of it"
