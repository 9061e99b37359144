"""The one table of data types: short names as tasks write them, and what PyTorch calls them.

Everything that crosses a process boundary or goes into a record names a data type by its short name.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch


def _native_fp8() -> dict[str, torch.dtype]:
    """The fp8 formats that the device at hand computes with: on AMD's CDNA 3 those without negative zero (fnuz).

    Read from the kernel driver's own description: asking PyTorch would start the device in a process that forks later.
    """
    if torch.version.hip:
        for node in Path("/sys/class/kfd/kfd/topology/nodes").glob("*/properties"):
            with contextlib.suppress(OSError):
                if re.search(r"^gfx_target_version 904\d\d$", node.read_text(), re.M):
                    return {"fp8e4m3": torch.float8_e4m3fnuz, "fp8e5m2": torch.float8_e5m2fnuz}
    return {"fp8e4m3": torch.float8_e4m3fn, "fp8e5m2": torch.float8_e5m2}


DTYPES: dict[str, torch.dtype] = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    **_native_fp8(),
    "fp8e4m3fnuz": torch.float8_e4m3fnuz,
    "fp8e5m2fnuz": torch.float8_e5m2fnuz,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "uint16": torch.uint16,
    "uint32": torch.uint32,
    "bool": torch.bool,
}

NAMES: dict[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}


def dtype_name(dtype: torch.dtype) -> str:
    """Short name of a PyTorch data type, or PyTorch's own name for one that the table lacks."""
    return NAMES.get(dtype, str(dtype).removeprefix("torch."))
