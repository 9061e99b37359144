"""What the tuner finds in a source, and that its edits leave it sound."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from programs import HEAD, programs

from agents.extract import defines
from agents.models.moves import Move, apply, body, fingerprint, parse, plans, steps, with_header
from agents.models.tunables import Role, discover

REFERENCES = sorted((Path(__file__).parents[2] / "suites").glob("*/*/reference.py"))


def found(source):
    return [(each.name, each.role.value, each.value) for each in discover(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("_k[g](x, n, BLOCK=1024, num_warps=4)", {("BLOCK", "block", 1024), ("num_warps", "warps", 4)}),
        ("_k[g](x, n, BLOCK=min(triton.next_power_of_2(n), 4096))", {("BLOCK", "block", 4096)}),
        ("_k[g](x, n, BLOCK=max(1, 64 // n))", {("BLOCK", "block", 64)}),
        (
            "_k[g](x, n, BLOCK=b, num_warps=4 if n < 2048 else 8)",
            {("num_warps", "warps", 4), ("num_warps", "warps", 8)},
        ),
        ("w = 8\n    _k[g](x, n, BLOCK=triton.next_power_of_2(n), num_warps=w)", {("w", "warps", 8)}),
        ("b, w = 256, 2\n    _k[g](x, n, BLOCK=b, num_warps=w)", {("b", "block", 256), ("w", "warps", 2)}),
        ("b, w = _config(n)\n    _k[g](x, n, BLOCK=b, num_warps=w)", {("b", "block", 512), ("w", "warps", 4)}),
        ("_k[g](x, n, **_dict(n))", {("BLOCK", "block", 128), ("num_warps", "warps", 4)}),
        ("_k[g](x, n, **TABLE[n])", {("BLOCK", "block", 64), ("num_warps", "warps", 16)}),
        ("b = PAIRS.get(n, (32, 1))[0]\n    _k[g](x, n, BLOCK=b)", {("b", "block", 32), ("b", "block", 2048)}),
        ("_k[g](x, n, BLOCK=SIZE)", {("SIZE", "block", 8192)}),
        ("_k[g](x, n, BLOCK=n)", {("num_warps", "warps", None), ("num_stages", "stages", None)}),
    ],
)
def test_tunables_are_found(source, expected):
    tables = (
        "SIZE = 8192\nTABLE = {1: dict(BLOCK=64), 2: {'num_warps': 16}}\nPAIRS = {1: (2048, 4)}\n\n"
        "def _config(n):\n    return 512, 4\n\n\ndef _dict(n):\n    return {'BLOCK': 128, 'num_warps': 4}\n\n\n"
    )
    whole = set(found(f"{HEAD}{tables}def f(x, n):\n    {source}\n"))
    assert expected <= whole


def test_autotune_configurations_are_tunables():
    source = (
        "import triton\n"
        "@triton.autotune(configs=[triton.Config({'BLOCK': 128}, num_warps=4, num_stages=2)], key=['n'])\n"
        "@triton.jit\ndef k(x, BLOCK: tl.constexpr):\n    pass\ndef f(x):\n    k[(1,)](x)\n"
    )
    assert found(source) == [("BLOCK", "block", 128), ("num_warps", "warps", 4), ("num_stages", "stages", 2)]


def test_conditions_kernels_and_other_numbers_are_left_alone():
    source = (
        "import triton\n@triton.jit\ndef k(x):\n    BLOCK = 64\n    num_warps = 4\n"
        "def f(x, n):\n    num_blocks = 128\n    if n < 1024:\n        n = 4096\n    return x[16]\n"
    )
    assert found(source) == []
    assert found("def f(:") == []


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.parent.name)
def test_every_reference_has_something_to_tune(path):
    source = path.read_text()
    roles = {each.role for each in discover(source)}
    assert Role.WARPS in roles and len(list(plans(discover(source)))) > 10


def every_step_is_sound(source, entry_point):
    """All plans yield different sources that parse, define the entry point and differ in numbers only."""
    marks = set()
    for plan in list(plans(discover(source)))[:90:6]:
        changed = apply(plan, source)
        assert changed != source
        ast.parse(with_header(changed))
        assert defines(with_header(changed), entry_point)
        words = " ".join(move.words for move in plan)
        assert list(parse(words, source)) == list(plan)
        marks.add(fingerprint(changed))
        if all(move.tunable.value is not None for move in plan):
            assert re.sub(r"\d+", "0", changed) == re.sub(r"\d+", "0", source)
    return marks


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.parent.name)
def test_edits_of_the_references_are_sound(path):
    source = path.read_text()
    entry = next(node.name for node in reversed(ast.parse(source).body) if isinstance(node, ast.FunctionDef))
    assert every_step_is_sound(source, entry)


@given(programs())
@settings(max_examples=60, deadline=None, database=None)
def test_edits_always_parse_and_define_the_entry_point(source):
    assert defines(source, "f")
    every_step_is_sound(source, "f")


def test_steps_stay_within_bounds():
    [warps] = [each for each in discover("def f(x):\n    k[g](x, num_warps=32)\n") if each.name == "num_warps"]
    assert steps(warps) == [16]
    [block] = [each for each in discover("def f(x):\n    k[g](x, BLOCK=16)\n") if each.name == "BLOCK"]
    assert steps(block) == [32]


def test_header_is_written_once_and_does_not_count():
    source = "x = 1\n"
    once = with_header(source)
    assert with_header(once) == once and body(once) == "x = 1" and fingerprint(once) == fingerprint(source)


def test_a_keyword_is_added_where_the_launch_ends():
    source = "def f(x):\n    k[g](\n        x,  # (é)\n        BLOCK=n,  # last\n    )\n"
    [warps] = [each for each in discover(source) if each.name == "num_warps"]
    changed = apply([Move(warps, 8)], source)
    assert "num_warps=8" in ast.unparse(ast.parse(changed))
