"""Ways to say which tasks are meant: a suite by its name, a task by the name under which it was published."""

from __future__ import annotations

from pathlib import Path

from tests.harness.commands import NO_CACHE, ROOT, Warm


def test_a_task_is_selected_by_its_alias_and_a_suite_by_its_name(tmp_path: Path, warm: Warm) -> None:
    listing = ("--collect-only", "-q", "--solver=reference", *NO_CACHE)
    by_alias = warm.pytest(ROOT / "suites" / "rocm", "-k", "test_triton_flip", *listing, cwd=tmp_path)
    assert by_alias.code == 0, by_alias.text
    assert sum("[triton_flip-reference]" in line for line in by_alias.lines) == 3
    assert "softmax" not in by_alias.text
    by_name = warm.pytest("--suite=rocm", *listing, cwd=tmp_path)
    assert by_name.code == 0, by_name.text
    assert sum("-reference]" in line for line in by_name.lines) == 3 * 31
    unknown = warm.pytest("--suite=nowhere", *listing, cwd=tmp_path)
    assert unknown.code == 4 and "unknown suite 'nowhere'" in unknown.text
    assert not (tmp_path / "runs").exists(), "nothing is recorded of a listing"
