"""What is read of compute-sanitizer's log. That it finds something is tested where there is a GPU (tests/gpu_tests)."""

from __future__ import annotations

from harness.judge.sanitizer import first_finding

LOG = """========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 4 bytes
=========     at _reads+0x180 in candidate.py:12
=========     by thread (1,0,0) in block (3,0,0)
=========     Access at 0x7f2d5dc00404 is out of bounds
=========     and is 1 bytes after the nearest allocation at 0x7f2d5dc00000 of size 1,028 bytes
=========
========= Program hit cudaErrorLaunchFailure (error 719) due to "unspecified launch failure"
========= ERROR SUMMARY: 2 errors
"""


def test_the_first_finding_is_told() -> None:
    said = first_finding(LOG)
    assert said == (
        "compute-sanitizer found an invalid __global__ read of size 4 bytes, at _reads+0x180 in candidate.py:12"
    )


def test_no_finding() -> None:
    assert first_finding("========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n") is None
