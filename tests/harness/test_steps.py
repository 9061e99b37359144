"""`python -m tests.steps` walks through the first steps of real processes."""

from __future__ import annotations

import pytest

from tests.steps import main


def test_steps_alone_and_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reverse_range", "--device=interpreter", "--at-once=1,2"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "at once" and [row.split()[0] for row in rows] == ["1", "2"]
    for row in rows:
        load, first, later, end = map(float, row.split()[1:])
        assert load > 1 and first > 1 and later > 1 and end > 1, row
