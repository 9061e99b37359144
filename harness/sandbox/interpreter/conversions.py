"""Conversions between Triton's scalar types in the interpreter, each with one rounding.

To nearest, ties to even, unless a kernel asks for rounding toward zero (``fp_downcast_rounding="rtz"``). What a value
out of range becomes is NVIDIA's: saturated integers (``cvt.rzi``), and for the narrow floats what :mod:`formats` says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime.interpreter import TensorHandle

from .arithmetic import method, values
from .formats import FORMATS, integers_to_odd, narrow
from .storage import numpy_type

Handle = Any
Array = Any


def to_integer(numbers: Array, dtype: Any) -> Array:
    """Floats to integers toward zero, as NVIDIA's ``cvt.rzi``: saturated, NaN to zero, 8 bits through 16."""
    target = np.dtype(dtype)
    if target == np.bool_:
        return numbers != 0
    through = np.dtype(f"{target.kind}2") if target.itemsize == 1 else target
    info = np.iinfo(through)
    wide = np.trunc(numbers.astype(np.float64))
    outside = ~((wide >= float(info.min)) & (wide < float(info.max) + (1.0 if through.itemsize < 8 else 0.0)))
    if outside.any():
        inside = np.where(outside, 0.0, wide).astype(through)
        inside[outside & (wide > 0)] = info.max
        inside[outside & (wide < 0)] = info.min
        return inside.astype(target)
    return wide.astype(through).astype(target)


def convert(source: Handle, target: Any, toward_zero: bool = False) -> Handle:
    """Any scalar type to any other, with one rounding."""
    from_type, to_type = source.dtype.scalar, target.scalar
    data = source.data
    to_format = FORMATS.get(to_type.name)
    if from_type == to_type:
        return TensorHandle(data, to_type)
    numbers = values(source)
    if to_format is not None:
        if numbers.dtype.kind not in "f":
            numbers = integers_to_odd(numbers) if numbers.dtype.itemsize == 8 else numbers.astype(np.float64)
        return TensorHandle(narrow(numbers, to_format, toward_zero), to_type)
    dtype = numpy_type(to_type)
    if numbers.dtype.kind == "f":
        if dtype.kind != "f":
            return TensorHandle(to_integer(numbers, dtype), to_type)
        out = numbers.astype(dtype)
        if toward_zero and dtype.itemsize < numbers.dtype.itemsize:
            away = np.abs(out.astype(numbers.dtype)) > np.abs(numbers)
            out = np.where(away, np.nextafter(out, dtype.type(0)), out)
        return TensorHandle(out, to_type)
    if numbers.dtype.itemsize == 8 and dtype in (np.float16, np.float32):
        return TensorHandle(numbers.astype(np.float32).astype(dtype), to_type)
    return TensorHandle(numbers.astype(dtype), to_type)


@method("cast_impl", "create_si_to_fp", "create_ui_to_fp", "create_fp_to_si", "create_fp_to_ui")
@method("create_fp_ext", "create_fp_trunc")
def _cast(_builder: Any, source: Handle, target: Any) -> Handle:
    return convert(source, target)


@method("create_int_cast")
def _int_cast(_builder: Any, source: Handle, target: Any, _is_signed: bool) -> Handle:
    dtype = numpy_type(target.scalar)
    if dtype == np.bool_:  # truncation to one bit keeps the lowest
        return TensorHandle((source.data & 1).astype(np.bool_), target.scalar)
    return TensorHandle(source.data.astype(dtype), target.scalar)


@method("create_fp_to_fp")
def _fp_to_fp(_builder: Any, source: Handle, target: Any, rounding_mode: Any) -> Handle:
    return convert(source, target, toward_zero=rounding_mode == ir.ROUNDING_MODE.RTZ)


@method("get_bf16")
def _get_bf16(_builder: Any, value: float) -> Handle:
    return TensorHandle(narrow(np.array([value], dtype=np.float64), FORMATS["bf16"]), tl.bfloat16)


@method("create_int_to_ptr")
def _int_to_ptr(_builder: Any, source: Handle, target: Any) -> Handle:
    # As LLVM does: an integer of fewer bits has zeros above. An address below 2^31 comes as a kernel's int32.
    data = source.data.view(f"u{source.data.dtype.itemsize}")
    return TensorHandle(data.astype(np.uint64), target.scalar)


@method("create_bitcast", "create_ptr_to_int")
def _bitcast(_builder: Any, source: Handle, target: Any) -> Handle:
    # A view of another width needs contiguous data; here the widths agree, booleans apart.
    data = source.data
    if data.dtype == np.bool_:
        data = data.view(np.uint8)
    return TensorHandle(data.view(numpy_type(target)), target.scalar)
