"""A sound suite in a folder of the test's own, to be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.doctor.doctor import Doctor
from harness.judge.judge import Judge
from harness.suite import load_suite
from harness.task import Task

SOUND = Path(__file__).resolve().parents[1] / "doctor_suite"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """The suite's folder, a copy."""
    return Path(shutil.copytree(SOUND, tmp_path / "sound", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def broken(sound: Path) -> Callable[[str, str, str], Task]:
    """The sound task with a text replaced in one of its files; may be asked again for more."""

    def change(file: str, old: str, new: str) -> Task:
        path = sound / "scaled" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return load_suite(sound).task("scaled")

    return change


@pytest.fixture
def doctor(judge: Judge) -> Doctor:
    """A doctor who works with the session's judge."""
    return Doctor(judge, "here")
