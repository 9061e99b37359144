"""Mutants: every rule plants the mistake that it names, in a program that still parses, under a name that lasts."""

from __future__ import annotations

import ast

import pytest

from harness.doctor.mutation import HOST_RULES, KERNEL_RULES, chosen, mutants

KERNEL = "@triton.jit\ndef kernel(x_ptr, y_ptr, n, m, stride, acc, BLOCK: tl.constexpr):\n    {line}\n"
HOST = "def launch(x, y):\n    {line}\n"

PLANTED = [
    ("dropped mask", "x = tl.load(x_ptr + o, mask=m, other=0.0)", "x = (tl.load(x_ptr + o))"),
    ("dropped mask", "tl.store(y_ptr + o, x, mask=m)", "(tl.store(y_ptr + o, x))"),
    ("half a mask", "ok = (row < n) & (col < m)", "ok = (row < n)"),
    ("half a mask", "ok = (row < n) & (col < m)", "ok = (col < m)"),
    ("bound off by one", "ok = row < n", "ok = (row < n - 1)"),
    ("wrong boundary", "ok = row >= n", "ok = (row > n)"),
    ("wrong boundary", "ok = row == n", "ok = (row != n)"),
    ("wrong stride", "p = x_ptr + row * stride", "p = x_ptr + (row * (stride + 1))"),
    ("swapped operands", "d = a - b", "d = (b - a)"),
    ("swapped operands", "d = a / b", "d = (b / a)"),
    ("swapped operands", "d = tl.where(c, a, b)", "d = (tl.where(c, b, a))"),
    ("skipped block", "for k in range(0, n): pass", "for k in (range(0, n - 1)): pass"),
    ("skipped block", "for k in range(0, n): pass", "for k in (range(0 + 1, n)): pass"),
    ("skipped block", "for k in range(n): pass", "for k in (range(n - 1)): pass"),
    ("skipped block", "for k in tl.range(0, n, BLOCK): pass", "for k in (tl.range(0 + BLOCK, n, BLOCK)): pass"),
    ("lost step", "acc += x", "acc = x"),
    ("lost step", "x_ptr += stride", "pass"),
    ("lost step", "acc = tl.dot(a, b, acc)", "acc = (tl.dot(a, b))"),
    ("half precision", "acc = tl.zeros((n,), tl.float32)", "acc = tl.zeros((n,), (tl.float16))"),
    ("missing factor", "y = x * scale", "y = (x)"),
    ("missing factor", "y = x * scale", "y = (scale)"),
    ("missing term", "y = x + bias", "y = (x)"),
    ("missing term", "y = x - mean", "y = (x)"),
    ("wrong axis", "s = tl.sum(x, axis=1)", "s = (tl.sum(x, axis=0))"),
    ("wrong axis", "r = row[:, None]", "r = (row[None, :])"),
    ("missing store", "tl.store(y_ptr, x)", "pass"),
    ("wrong fill", "x = tl.load(p, mask=m, other=0.0)", "x = (tl.load(p, mask=m, other=1))"),
    ("wrong fill", "x = tl.load(p, mask=m, other=-1e9)", "x = (tl.load(p, mask=m, other=0))"),
    ("wrong function", "y = tl.exp(x)", "y = (tl.exp2(x))"),
    ("wrong function", "y = tl.max(x, axis=0)", "y = (tl.min(x, axis=0))"),
    ("wrong constant", "y = x if n else 0.01", "y = x if n else (0.015)"),
    ("wrong operator", "i = pid // n", "i = (pid % n)"),
    ("wrong operator", "i = pid << 2", "i = (pid >> 2)"),
]
ON_THE_HOST = [
    ("skipped program", "grid = (triton.cdiv(n, 64),)", "grid = ((max(1, triton.cdiv(n, 64) - 1)),)"),
    ("wrong stride", "s = x.stride(0)", "s = (x.stride(1))"),
    ("ignored flag", "kernel[grid](x, EVEN=n % 2 == 0)", "(kernel[grid](x, EVEN=not n % 2 == 0))"),
]


@pytest.mark.parametrize(("rule", "before", "after"), PLANTED)
def test_a_rule_plants_its_mistake(rule: str, before: str, after: str) -> None:
    planted = [each.source for each in mutants(KERNEL.format(line=before)) if each.rule == rule]
    assert KERNEL.format(line=after) in planted


@pytest.mark.parametrize(("rule", "before", "after"), ON_THE_HOST)
def test_a_rule_for_the_host_plants_its_mistake(rule: str, before: str, after: str) -> None:
    planted = [each.source for each in mutants(HOST.format(line=before)) if each.rule == rule]
    assert HOST.format(line=after) in planted


def test_every_rule_is_tried_above() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(KERNEL_RULES)
    assert {rule for rule, _, _ in ON_THE_HOST} == set(HOST_RULES)


def test_what_is_no_mistake_is_left_alone() -> None:
    for line in (
        "tl.static_assert(BLOCK == 4)",
        "o = tl.arange(0, BLOCK)",
        'ok = KIND == "int"',
        "x: tl.constexpr = 1",
    ):
        rules = {each.rule for each in mutants(KERNEL.format(line=line))}
        assert not rules & {"skipped block", "bound off by one"}
    assert not mutants(KERNEL.format(line='ok = KIND == "int"'))
    assert not mutants('"""Text."""\nimport triton\nX = 1 - 2\n')


def test_each_mutant_differs_parses_and_has_a_name_of_its_own(sound_reference: str) -> None:
    every = mutants(sound_reference)
    assert len({each.id for each in every}) == len(every)
    for each in every:
        assert ast.dump(ast.parse(each.source)) != ast.dump(ast.parse(sound_reference))
        assert ast.parse(each.probe)
        assert each.source.count("\n") == sound_reference.count("\n")


def test_the_choice_is_the_same_every_time_and_takes_every_rule(sound_reference: str) -> None:
    every, taken = mutants(sound_reference), chosen(sound_reference, 12)
    assert [each.id for each in taken] == [each.id for each in chosen(sound_reference, 12)]
    assert len(taken) == 12
    assert {each.rule for each in taken} == {each.rule for each in every}
    assert len(chosen(sound_reference, 10_000)) == len(every)


def test_names_outlive_edits_elsewhere(sound_reference: str) -> None:
    moved = '"""Another docstring."""\n\n\n' + sound_reference.partition("\n")[2]
    assert {each.id for each in mutants(moved)} == {each.id for each in mutants(sound_reference)}


def test_changes_that_look_alike_are_numbered() -> None:
    names = [each.id for each in mutants(KERNEL.format(line="y = (a - b) / (a - b)")) if "a - b → b - a" in each.id]
    assert names == ["swapped operands: kernel: a - b → b - a", "swapped operands: kernel: a - b → b - a #2"]


@pytest.fixture(scope="module")
def sound_reference() -> str:
    from tests.doctor.conftest import SOUND

    return (SOUND / "scaled" / "reference.py").read_text()
