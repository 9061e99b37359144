"""`pytest suites/published --checkout=PATH` judges the tasks of a checkout, and published answers to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.commands import NO_CACHE, ROOT, Ran, Warm

SUITES = ROOT / "suites" / "published"
HEAD = """import torch
import triton
import triton.language as tl

@triton.jit
def _times(x_ptr, y_ptr, n, by, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, by * tl.load(x_ptr + at, mask=at < n), mask=at < n)

def {name}(x):
    y = torch.empty_like(x)
    _times[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), {by}.0, BLOCK=64)
    return y
"""
TEST = """
def test_{name}():
    return {{"one": {name}(torch.randn({size}, device="cuda"))}}

{last}
"""
LAST = {
    "double": "result_gold = test_double()",
    "triple": 'if __name__ == "__main__":\n    result_gold = test_triple()',
}
LAST["broken"] = "result_gold = test_broken()"
G = {"double": 2, "triple": 3, "broken": 4}
INSTRUCTION = "You write kernels.\n Multiply   a vector by {by}: `{name}(x)`."


def tiny(root: Path) -> Path:
    """A checkout as TritonBench's, with three tasks: one of them has a reference that never ran."""
    data = root / "data"
    (data / "TritonBench_G_v1").mkdir(parents=True)
    about, asked = [], []
    for name, by in G.items():
        solution = HEAD.format(name=name, by=by) + ("\nimport no_such_module_at_all\n" if name == "broken" else "")
        test = TEST.format(name=name, size=100 + by, last=LAST[name])
        (data / "TritonBench_G_v1" / f"{name}.py").write_text(f"{solution}\n{'#' * 146}\n{test}")
        text = INSTRUCTION.format(name=name, by=by)
        about.append({"file": f"{name}.py", "repo": "some/one", "output": solution, "difficulty": "2"})
        about[-1] |= {"simp_instru": text, "comp_instru": text}
        asked.append({"instruction": text, "input": "", "output": solution})
    (data / "TritonBench_G_v1.json").write_text(json.dumps(about))
    for kind in ("simp", "comp"):
        (data / f"TritonBench_G_{kind}_alpac_v1.json").write_text(json.dumps(asked))
    return root


def answers(file: Path, predictions: dict[str, str], **changes: str) -> Path:
    """A file of answers as they are published, in another order than the tasks."""
    rows = [
        {
            "prompt": f"Examples come first.\n{INSTRUCTION.format(name=name, by=G[name])}\nAnswer now.",
            "predict": text,
            "label": HEAD.format(name=name, by=G[name]) + "<|im_end|>",
            **changes,
        }
        for name, text in reversed(predictions.items())
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("a checkout of any name"))


def run(warm: Warm, cwd: Path, *more: object) -> tuple[Ran, dict[str, dict[str, str]]]:
    """The command, and the verdicts by task."""
    ran = warm.pytest(SUITES, *NO_CACHE, "-q", "--run-dir=run", *more, cwd=cwd)
    records = cwd / "run" / "results.jsonl"
    rows = [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []
    return ran, {row["attempt"]["task"]: row["verdict"] for row in rows}


def test_references_are_judged_by_value(warm: Warm, checkout: Path, tmp_path: Path) -> None:
    ran, verdicts = run(warm, tmp_path, f"--checkout={checkout}", "--solver=reference")
    assert ran.code == 0, ran.text
    assert {name: each["outcome"] for name, each in verdicts.items()} == {
        "double": "right",
        "triple": "right",
        "broken": "unsupported here",
    }
    assert "no_such_module_at_all" in verdicts["broken"]["reason"]
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [suite["name"] for suite in about["suites"]] == ["tritonbench-g"]


def test_published_answers_are_judged_as_they_are(warm: Warm, checkout: Path, tmp_path: Path) -> None:
    double, triple = (HEAD.format(name=name, by=G[name]) for name in ("double", "triple"))
    file = answers(
        tmp_path / "output.jsonl",
        {
            "double": f"Sure.\n```python\n{double}```<|EOT|>",
            "triple": f"```python\n{triple.replace('3.0', '3.5')}\n```",
            "broken": "",
        },
    )
    ran, verdicts = run(warm, tmp_path, f"--checkout={checkout}", "--solver=replay", f"--predictions={file}")
    assert ran.code == 1, ran.text
    outcomes = {name: each["outcome"] for name, each in verdicts.items()}
    assert outcomes == {"double": "right", "triple": "wrong values", "broken": "no code"}, ran.text


def test_the_papers_extractor_keeps_the_fences_end(warm: Warm, checkout: Path, tmp_path: Path) -> None:
    double = HEAD.format(name="double", by=2)
    file = answers(tmp_path / "output.jsonl", {"double": f"```python\n{double}\n```\nDone.", "triple": double})
    more = (f"--checkout={checkout}", "--solver=replay", f"--predictions={file}", "--extractor=paper", "-k", "double")
    _, verdicts = run(warm, tmp_path, *more)
    assert verdicts["double"]["outcome"] == "syntax error", verdicts


REFUSED = {
    "no checkout": ([], "add --checkout=PATH"),
    "a folder that is none": (["--checkout=."], "holds nothing of a known repository"),
    "no such folder": (["--checkout=gone"], "gone does not exist"),
    "an unknown extractor": (["--checkout={checkout}", "--extractor=best"], "there are faithful and paper"),
    "answers of another suite": (["--checkout={checkout}", "--predictions={others}"], "belong to no task here"),
    "rows that are mixed up": (["--checkout={checkout}", "--predictions={mixed}"], "the rows are mixed up"),
    "a second answer": (["--checkout={checkout}", "--predictions={twice}"], "add --samples=2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_line_says_what_to_do(warm: Warm, checkout: Path, tmp_path: Path, name: str) -> None:
    options, said = REFUSED[name]
    good = {"double": "x = 1"}
    places = {
        "checkout": checkout,
        "others": answers(tmp_path / "others.jsonl", good, prompt="Something else.", label="def other(): pass"),
        "mixed": answers(tmp_path / "mixed.jsonl", good, label=HEAD.format(name="triple", by=3)),
        "twice": answers(tmp_path / "twice.jsonl", good),
    }
    places["twice"].write_text(places["twice"].read_text() * 2)
    given = [option.format(**places) for option in options]
    if not any(option.startswith("--predictions") for option in given):
        given.append(f"--predictions={places['twice']}")
    ran, _ = run(warm, tmp_path, "--solver=replay", *given)
    lines = [line for line in ran.lines if said in line]
    assert ran.code == 4 and len(lines) == 1 and len(ran.lines) <= 3, ran.text
    assert not (tmp_path / "run").exists()


def test_the_doctor_has_nothing_to_examine(warm: Warm, checkout: Path, tmp_path: Path) -> None:
    ran = warm.pytest(
        SUITES / "tritonbench_g", *NO_CACHE, "-q", f"--checkout={checkout}", "--doctor", "--run-dir=run", cwd=tmp_path
    )
    assert ran.code == 4 and "have no oracle to examine" in ran.text and "Traceback" not in ran.text, ran.text


def test_nop_is_right_nowhere(warm: Warm, checkout: Path, tmp_path: Path) -> None:
    _, verdicts = run(warm, tmp_path, f"--checkout={checkout}", "--solver=nop")
    assert {each["outcome"] for each in verdicts.values()} <= {"no code", "call error", "unsupported here"}, verdicts
