"""What the tests of the core share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.suites import write_suite


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A suite of one task."""
    return write_suite(tmp_path / "suite", {"doubled": 2})


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A suite of two tasks."""
    return write_suite(tmp_path / "suite", {"doubled": 2, "tripled": 3})
