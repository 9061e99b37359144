"""Which GPU a candidate's process sees, and which of several judge."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.device import Device, find_devices
from harness.engine.judges import shared, usual
from harness.errors import UsageError
from harness.judge.judge import JudgeLimits
from harness.options import Options
from harness.session import Session
from tests.harness.commands import NO_CACHE, TOY, Warm


@pytest.mark.parametrize(
    ("kind", "index", "given", "seen"),
    [
        ("cuda", 1, {}, {"CUDA_VISIBLE_DEVICES": "1"}),
        ("cuda", 1, {"CUDA_VISIBLE_DEVICES": "4, 6"}, {"CUDA_VISIBLE_DEVICES": "6"}),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "GPU-1a,GPU-2b"}, {"CUDA_VISIBLE_DEVICES": "GPU-1a"}),
        ("hip", 2, {"CUDA_VISIBLE_DEVICES": "7"}, {"HIP_VISIBLE_DEVICES": "2"}),
        ("interpreter", 0, {"CUDA_VISIBLE_DEVICES": "4"}, {}),
    ],
)
def test_a_candidate_sees_the_judges_gpu_alone(
    kind: str, index: int, given: dict[str, str], seen: dict[str, str]
) -> None:
    assert Device(kind, index, "a device", "uuid").visibility(given) == seen  # type: ignore[arg-type]


def test_several_devices_are_of_one_kind() -> None:
    assert [each.name for each in find_devices("interpreter")] == ["interpreter"]
    with pytest.raises(UsageError, match="named twice"):
        find_devices("interpreter, cpu")
    with pytest.raises(UsageError, match="unknown: use auto"):
        find_devices("tpu,cuda:0")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no GPU that PyTorch can see; leave --devices out"):
            find_devices("all")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--devices=all",), "no GPU that PyTorch can see"),
        (("--devices=interpreter", "--device=interpreter"), "leave --device out"),
        (("--devices=interpreter,interpreter",), "named twice"),
    ],
)
def test_devices_that_cannot_be_are_refused(warm: Warm, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    if "all" in arguments[0] and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    ran = warm.pytest(TOY, "--solver=reference", *arguments, *NO_CACHE, cwd=tmp_path)
    assert ran.code == 4 and says in ran.text and len(ran.lines) < 4, ran.text


def test_attempts_on_named_devices_run_at_once(warm: Warm, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ran = warm.pytest(
        TOY, "--solver=reference", "--devices=interpreter", "--judges=1", f"--run-dir={run}", *NO_CACHE, cwd=tmp_path
    )
    assert ran.code == 0 and "concurrency: up to 1" not in ran.text, ran.text


def test_each_worker_takes_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = tuple(Device("cuda", index, "a device", f"uuid-{index}") for index in range(2))
    monkeypatch.setattr("harness.session.find_devices", lambda _: devices)
    taken = []
    for worker in ("gw0", "gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        options = Options(solver=("reference",), devices="all", isolation=None)
        taken.append(Session(options, [TOY], by_workers=True).device.index)
    assert taken == [0, 1, 0]


@pytest.mark.parametrize(
    ("gpus", "cores", "gib", "judges"), [(1, 16, 139, 12), (2, 32, 139, 12), (4, 64, 139, 12), (1, 128, 139, 16)]
)
def test_as_many_judges_as_processors_and_memory_serve(
    gpus: int, cores: int, gib: int, judges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "memory", gib << 30)
    monkeypatch.setattr("harness.engine.judges.cores", lambda: cores)
    devices = tuple(Device("cuda", index, "a device", f"uuid-{index}") for index in range(gpus))
    assert usual(devices, 1) == 1 and usual(devices, 1000) == judges
    monkeypatch.setattr(Device, "memory", 12 << 30)
    assert usual(devices, 1000) == 1, "a small GPU has no room for more"
    monkeypatch.setattr("harness.engine.judges.cores", lambda: 1)
    assert usual(devices, 1000) == 1


def test_judges_are_spread_over_devices() -> None:
    interpreters = (Device("interpreter", 0, "interpreter", "cpu"),)
    judges = shared(interpreters, JudgeLimits(), [], [TOY], 3)
    assert judges.number == 3
    judges.close()
