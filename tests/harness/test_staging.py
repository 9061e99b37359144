"""Without a GPU, or where its memory can't be shared, staging says so, and the host's memory serves."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest
import torch

from harness.sandbox import staging
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.isolation import Limits
from harness.sandbox.parent import WarmParent


def test_without_a_gpu_it_says_so() -> None:
    if staging.available():
        pytest.skip("here it can be had: tests/gpu_tests/test_staging.py")
    with pytest.raises(staging.StagingUnavailable, match="no cuda-bindings"):
        staging.DeviceArena.create(4096, 0)
    with pytest.raises(staging.StagingUnavailable):
        staging.DeviceArena.open(0, 4096, 0)
    staging.prepare()


def test_what_the_driver_refuses_is_unavailable() -> None:
    class Said(int):
        name = "CUDA_ERROR_NOT_SUPPORTED"

    assert staging.done((Said(0), 7)) == 7 and staging.done((Said(0),)) is None
    with pytest.raises(staging.StagingUnavailable, match="CUDA_ERROR_NOT_SUPPORTED"):
        staging.done((Said(801), None))


def test_a_piece_of_memory_looks_like_a_tensor_of_bytes() -> None:
    about = staging._Memory(1 << 40, 4096).__cuda_array_interface__
    assert about["data"] == (1 << 40, False) and about["shape"] == (4096,) and about["typestr"] == "|u1"
    assert torch.uint8.itemsize == 1


class Staged:
    """Stands for memory of a GPU that both sides map."""

    on_device: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        self.size, self.closed = size, False

    def close(self) -> None:
        self.closed = True


def test_each_kind_of_memory_is_kept_until_the_other_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, made = list[str](), list[Staged]()

    def ask(self: CandidateProcess, message: dict[str, Any], *_: object) -> dict[str, Any]:
        asked.append(message["op"])
        return {}

    def stage(self: CandidateProcess, need: int) -> Staged | None:
        made.append(Staged(need))
        return made[-1] if self._stages and len(made) < 3 else None

    monkeypatch.setattr(CandidateProcess, "_ask", ask)
    monkeypatch.setattr(CandidateProcess, "_staged", stage)
    process = CandidateProcess(cast(WarmParent, None), Limits(), "cuda:0")

    def wanted(host: bool, need: int = 1000) -> Any:
        process._host = host
        return process._shared(need)

    first = wanted(host=True)
    assert not first.on_device and wanted(host=True) is first and asked == ["share"] and not made
    second = wanted(host=False, need=5 << 30)
    assert second is made[0] and wanted(host=False) is second and not second.closed
    third = wanted(host=True)
    assert second.closed and not third.on_device and third.size == first.size, "not twice what the device's had"
    assert wanted(host=False) is made[1] and asked == ["share", "share"]
    wanted(host=True)
    fourth = wanted(host=False)
    assert not fourth.on_device and not process._stages, "the device's memory can't be shared any more"
    assert wanted(host=True) is fourth and wanted(host=False) is fourth and len(made) == 3
    process._drop_arena()


def test_on_the_interpreter_all_lies_on_the_host() -> None:
    assert CandidateProcess(cast(WarmParent, None), Limits(), "cpu")._host
