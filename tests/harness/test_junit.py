"""--junitxml: every test has the verdict's sentence, right or not, with pytest-xdist as without."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from tests.harness.commands import NO_CACHE, SOLVERS, Warm

ANSWERS = {
    "doubled": "import torch\ndef doubled(x):\n    raise ValueError('\\x1b[31m \\ud800 </testcase> ]]> & \"q\"')\n",
    "tripled": "",
}


def cases(path: Path) -> dict[str, tuple[dict[str, str], ET.Element]]:
    """By the test's name: its properties, and its element."""
    found = {}
    for case in ET.parse(path).iter("testcase"):
        properties = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        found[case.attrib["name"]] = (properties, case)
    return found


def verdicts(run: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    return {f"{row['attempt']['task']}-{row['attempt']['solver']}": row["verdict"] for row in rows}


def test_properties_of_every_test_by_workers(two: Path, warm: Warm) -> None:
    here = two.parent
    solvers = ("--solver=reference", "--solver=nop")
    ran = warm.pytest(
        "suite", *solvers, "--run-dir=run", "--junitxml=j.xml", "--summary=s.md", "-n2", *NO_CACHE, cwd=here
    )
    assert ran.code == 1, ran.text
    assert (here / "s.md").read_text().count("## Kernel Assay") == 1, "the page is written by one process alone"
    found, said = cases(here / "j.xml"), verdicts(here / "run")
    assert len(found) == 12
    for name, (properties, case) in found.items():
        verdict = said[name.partition("[")[2].rstrip("]")]
        assert properties["outcome"] == verdict["outcome"] and properties["reason"] == verdict["reason"], name
        if verdict["outcome"] == "right":
            assert float(properties["speedup"]) == verdict["speedup"] and properties["clock"] == "interpreted"
        else:
            assert "speedup" not in properties
            failure = case.find("failure")
            assert (failure is not None) == name.startswith("test_execution_accuracy")
            if failure is not None:
                assert failure.attrib["message"] == f"Failed: {verdict['outcome']}: {verdict['reason']}"
    assert {properties["outcome"] for properties, _ in found.values()} > {"right"}


def test_text_of_a_candidate_is_still_xml(two: Path, warm: Warm) -> None:
    here = two.parent
    lines = [json.dumps({"task": task, "answer": f"```python\n{code}```"}) for task, code in ANSWERS.items()]
    (here / "answers.jsonl").write_text("\n".join(lines))
    solvers = ("--solver=replay", "--predictions=answers.jsonl", "--solver=reference")
    ran = warm.pytest("suite", *solvers, "--run-dir=run", "--junitxml=j.xml", *NO_CACHE, cwd=here)
    assert ran.code == 1, ran.text
    found = cases(here / "j.xml")
    properties, case = found["test_call_accuracy[doubled-replay]"]
    assert properties["outcome"] == "call error" and '</testcase> ]]> & "q"' in properties["reason"]
    failure = case.find("failure")
    assert failure is not None and "</testcase>" in failure.attrib["message"]
    assert len(found) == 12 and found["test_speedup[tripled-replay]"][0]["outcome"] != "right"
    right = [properties for name, (properties, _) in found.items() if name.endswith("-reference]")]
    assert all(each["outcome"] == "right" and float(each["speedup"]) > 0 for each in right)


def test_trouble_of_the_machine_is_owed(one: Path, warm: Warm) -> None:
    here = one.parent
    solver = f"--solver={SOLVERS}:Troubled:counter={here}/met,times=99"
    ran = warm.pytest("suite", solver, "--run-dir=run", "--junitxml=j.xml", *NO_CACHE, cwd=here)
    assert ran.code == 1, ran.text
    for properties, case in cases(here / "j.xml").values():
        error = case.find("error")
        assert error is not None and properties["outcome"] == "owed"
        assert properties["reason"] and properties["reason"] in error.attrib["message"]
