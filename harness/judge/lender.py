"""Memory that one judge lends to both sides of a timing in turn, so that a block lies in the same places for both."""

from __future__ import annotations

from harness.device import Device
from harness.judge.sides import Sides
from harness.sandbox.lent import SMALL_BYTES
from harness.sandbox.staging import DeviceArena, StagingUnavailable

KEPT_BYTES = 2 << 30
"""Of a device's memory, between workloads, by each judge."""


class Lender:
    """One judge's."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._memory: DeviceArena | None = None
        self._useless = device.interpreted

    def lend(self, sides: Sides, need: int) -> bool:
        """Have both sides' blocks of so many bytes lie in the same memory; False where that can't be had."""
        need += SMALL_BYTES
        if self._useless:
            return False
        if self._memory is None or self._memory.size < need:
            self._take_back(sides)
            try:
                self._memory = DeviceArena.create(need, self._device.index)
            except StagingUnavailable:
                self._useless = True
                return False
        lent = [each.lend(self._memory) for each in (sides.reference, sides.candidate)]
        if not all(lent):
            self._take_back(sides)
            self._useless = True
        return all(lent)

    def settle(self, sides: Sides) -> None:
        """After a workload: give back what is much."""
        if self._memory is not None and self._memory.size > KEPT_BYTES:
            self._take_back(sides)

    def close(self) -> None:
        """Give everything back; the processes that were lent it have ended, or will."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _take_back(self, sides: Sides) -> None:
        for each in (sides.reference, sides.candidate):
            each.take_back()
        self.close()
