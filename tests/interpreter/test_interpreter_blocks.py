"""Reductions, scans, products and the other operations on whole blocks, against PyTorch."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from interpreter_support import DTYPES, on_gpu, same
from triton.language.semantic import TritonSemantic

GENERATOR = torch.Generator().manual_seed(11)


def randn(*shape: int, dtype: Any = torch.float32) -> Any:
    return on_gpu(torch.randn(*shape, generator=GENERATOR).to(dtype))


@triton.jit
def reduce_kernel(x, out, OP: tl.constexpr, AXIS: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    v = tl.load(x + at)
    if OP == "sum":
        r = tl.sum(v, axis=AXIS)
    elif OP == "max":
        r = tl.max(v, axis=AXIS)
    elif OP == "min":
        r = tl.min(v, axis=AXIS)
    elif OP == "argmax":
        r = tl.argmax(v, axis=AXIS)
    elif OP == "argmin":
        r = tl.argmin(v, axis=AXIS)
    elif OP == "xor":
        r = tl.xor_sum(v, axis=AXIS)
    tl.store(out + tl.arange(0, M if AXIS == 1 else N), r.to(out.dtype.element_ty))


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "fp64"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("op", ["sum", "max", "min", "argmax", "argmin"])
def test_reductions(op: str, axis: int, name: str) -> None:
    x = randn(32, 64, dtype=DTYPES[name])
    size = 32 if axis == 1 else 64
    out = torch.empty(size, dtype=torch.int32 if op.startswith("arg") else torch.float64, device="cuda")
    reduce_kernel[(1,)](x, out, OP=op, AXIS=axis, M=32, N=64)
    wide = x.double()
    if op == "sum":
        tolerance = {"fp32": 1e-5, "fp16": 0.1, "bf16": 0.5, "fp64": 1e-12}[name]
        torch.testing.assert_close(out, wide.sum(axis), atol=tolerance, rtol=0)
    elif op.startswith("arg"):
        assert torch.equal(out.long(), getattr(torch, op)(wide, dim=axis))
    else:
        assert torch.equal(out, getattr(wide, f"a{op}")(axis))


def test_reductions_of_integers() -> None:
    x = on_gpu(torch.randint(-(2**31), 2**31 - 1, (16, 32), dtype=torch.int32))
    out = torch.empty(16, dtype=torch.int32, device="cuda")
    for op, want in (("sum", x.sum(1).int()), ("max", x.amax(1)), ("min", x.amin(1))):
        reduce_kernel[(1,)](x, out, OP=op, AXIS=1, M=16, N=32)
        assert torch.equal(out, want), op
    reduce_kernel[(1,)](x, out, OP="xor", AXIS=1, M=16, N=32)
    assert out.tolist() == np.bitwise_xor.reduce(x.cpu().numpy(), axis=1).tolist()


def test_maximum_ignores_nan() -> None:
    x = randn(4, 8)
    x[0, 3] = float("nan")
    x[1] = float("nan")
    out = torch.empty(4, device="cuda")
    reduce_kernel[(1,)](x, out, OP="max", AXIS=1, M=4, N=8)
    assert out[0] == x[0][~torch.isnan(x[0])].max() and bool(torch.isnan(out[1])) and out[2] == x[2].max()


@triton.jit
def scalar_reduce_kernel(x, out, indices, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, N)[:, None] * 4 + tl.arange(0, 4)[None, :])
    tl.store(out, tl.sum(v))
    tl.store(out + 1, tl.max(v))
    kept = tl.sum(v, axis=1, keep_dims=True)
    tl.static_assert(kept.shape[1] == 1)
    tl.store(out + 2, tl.sum(kept))
    value, index = tl.max(v, axis=0, return_indices=True)
    tl.store(indices + tl.arange(0, 4), index)
    tl.store(out + 4 + tl.arange(0, 4), value)


def test_whole_blocks_and_indices() -> None:
    x = randn(16, 4)
    out, indices = torch.zeros(8, device="cuda"), torch.zeros(4, dtype=torch.int32, device="cuda")
    scalar_reduce_kernel[(1,)](x, out, indices, N=16)
    torch.testing.assert_close(out[0], x.sum())
    torch.testing.assert_close(out[2], x.sum())
    assert out[1] == x.max()
    assert torch.equal(indices.long(), x.argmax(0)) and torch.equal(out[4:], x.amax(0))


@triton.jit
def welford(mean_a, m2_a, n_a, mean_b, m2_b, n_b):
    delta = mean_b - mean_a
    n = n_a + n_b
    share = tl.where(n == 0.0, 0.0, n_b / n)
    return mean_a + delta * share, m2_a + m2_b + delta * delta * n_a * share, n


@triton.jit
def branching_max(a, b):
    if a > b:  # noqa: SIM108 - a statement, not an expression, is what this is about
        r = a
    else:
        r = b
    return r


@triton.jit
def first_of(a, b):
    return a


@triton.jit
def generic_kernel(x, out, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, 4)[:, None] * N + tl.arange(0, N)[None, :])
    mean, m2, count = tl.reduce((v, tl.zeros_like(v), tl.zeros_like(v) + 1.0), 1, welford)
    rows = tl.arange(0, 4)
    tl.store(out + rows, mean)
    tl.store(out + 4 + rows, m2 / count)
    tl.store(out + 8 + rows, tl.reduce(v, 1, branching_max))
    tl.store(out + 12 + rows, tl.reduce(v, 1, first_of))


def test_generic_reductions() -> None:
    x = randn(4, 64)
    out = torch.empty(16, device="cuda")
    generic_kernel[(1,)](x, out, N=64)
    torch.testing.assert_close(out[:4], x.mean(1))
    torch.testing.assert_close(out[4:8], x.var(1, unbiased=False))
    assert torch.equal(out[8:12], x.amax(1))
    assert torch.equal(out[12:], x[:, 0])  # the order of operands is kept


@triton.jit
def linear(a1, b1, a2, b2):
    return a1 * a2, a2 * b1 + b2


@triton.jit
def scan_kernel(x, out, OP: tl.constexpr, AXIS: tl.constexpr, REVERSE: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, 8)[:, None] * N + tl.arange(0, N)[None, :]
    v = tl.load(x + at)
    if OP == "cumsum":
        r = tl.cumsum(v, axis=AXIS, reverse=REVERSE)
    elif OP == "cumprod":
        r = tl.cumprod(v, axis=AXIS, reverse=REVERSE)
    elif OP == "max":
        r = tl.associative_scan(v, AXIS, tl.standard._elementwise_max, reverse=REVERSE)
    elif OP == "linear":
        _, r = tl.associative_scan((v * 0.5, v), AXIS, linear)
    tl.store(out + at, r.to(out.dtype.element_ty))


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("op", ["cumsum", "cumprod", "max"])
def test_scans(op: str, axis: int, reverse: bool, name: str) -> None:
    if name == "bf16" and op == "max" and hasattr(tl.core, "_promote_bfloat16_to_float32"):
        pytest.skip("this release's combine function gives float32 for bf16, which its compiler refuses too")
    x = randn(8, 32, dtype=DTYPES[name])
    out = torch.empty(8, 32, dtype=torch.float32, device="cuda")
    scan_kernel[(1,)](x, out, OP=op, AXIS=axis, REVERSE=reverse, N=32)
    wide = x.float().flip(axis) if reverse else x.float()
    want = wide.cummax(axis).values if op == "max" else getattr(wide, op)(axis)
    want = want.flip(axis) if reverse else want
    tolerance = {"fp32": 1e-5, "fp16": 2e-2, "bf16": 0.1}[name]  # rounded at each step
    torch.testing.assert_close(out, want, rtol=tolerance, atol=tolerance)


def test_linear_recurrence() -> None:
    x = randn(8, 32)
    out = torch.empty_like(x)
    scan_kernel[(1,)](x, out, OP="linear", AXIS=1, REVERSE=False, N=32)
    state, want = torch.zeros(8, dtype=torch.float64), []
    for i in range(32):
        state = x[:, i].double() * 0.5 * state + x[:, i].double()
        want.append(state)
    torch.testing.assert_close(out.double(), torch.stack(want, 1), rtol=1e-5, atol=1e-5)


@triton.jit
def dot_kernel(a, b, c, ACC: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    left = tl.load(a + m[:, None] * K + k[None, :])
    right = tl.load(b + k[:, None] * N + n[None, :])
    if ACC:
        acc = tl.full((M, N), 1, c.dtype.element_ty)
        acc = tl.dot(left, right, acc, out_dtype=c.dtype.element_ty)
    else:
        acc = tl.dot(left, right, out_dtype=c.dtype.element_ty)
    tl.store(c + m[:, None] * N + n[None, :], acc)


@pytest.mark.parametrize("acc", [False, True])
@pytest.mark.parametrize(
    ("name", "out_dtype"),
    [
        *[("fp32", torch.float32), ("fp16", torch.float32), ("fp16", torch.float16), ("bf16", torch.float32)],
        *[("fp8e4nv", torch.float32), ("fp8e5", torch.float32), ("fp64", torch.float64), ("int8", torch.int32)],
    ],
)
def test_dot(name: str, out_dtype: Any, acc: bool) -> None:
    if name == "int8":
        a, b = (on_gpu(torch.randint(-128, 128, s, dtype=torch.int8)) for s in ((32, 64), (64, 16)))
    else:
        a, b = randn(32, 64, dtype=DTYPES[name]), randn(64, 16, dtype=DTYPES[name])
    out = torch.empty(32, 16, dtype=out_dtype, device="cuda")
    dot_kernel[(1,)](a, b, out, ACC=acc, M=32, N=16, K=64)
    want = a.double() @ b.double() + (1 if acc else 0)
    if name == "int8":
        assert torch.equal(out.double(), want)
    else:
        tolerance = 1e-2 if out_dtype == torch.float16 else 1e-4
        torch.testing.assert_close(out.double(), want, rtol=tolerance, atol=tolerance)


@triton.jit
def dot_scaled_kernel(
    a, sa, b, sb, c, FA: tl.constexpr, FB: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr
):
    PA: tl.constexpr = 2 if FA == "e2m1" else 1
    PB: tl.constexpr = 2 if FB == "e2m1" else 1
    m, n = tl.arange(0, M), tl.arange(0, N)
    left = tl.load(a + m[:, None] * (K // PA) + tl.arange(0, K // PA)[None, :])
    right = tl.load(b + tl.arange(0, K // PB)[:, None] * N + n[None, :])
    left_scale = tl.load(sa + m[:, None] * (K // 32) + tl.arange(0, K // 32)[None, :])
    right_scale = tl.load(sb + n[:, None] * (K // 32) + tl.arange(0, K // 32)[None, :])
    acc = tl.dot_scaled(left, left_scale, FA, right, right_scale, FB)
    tl.store(c + m[:, None] * N + n[None, :], acc)


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float64)


@pytest.mark.parametrize(("fa", "fb"), [("e4m3", "e4m3"), ("e5m2", "e4m3"), ("e2m1", "e2m1"), ("e2m1", "e5m2")])
def test_dot_scaled(fa: str, fb: str) -> None:
    m, n, k = 32, 16, 64

    def operand(fmt: str, shape: tuple[int, int], axis: int) -> tuple[Any, Any]:
        if fmt == "e2m1":
            packed = list(shape)
            packed[axis] //= 2
            raw = torch.randint(0, 256, packed, dtype=torch.uint8)
            both = torch.stack([E2M1[(raw & 15).long()], E2M1[(raw >> 4).long()]], dim=axis + 1)
            return raw, both.reshape(shape)
        x = torch.randn(shape).to(torch.float8_e4m3fn if fmt == "e4m3" else torch.float8_e5m2)
        return x, x.double()

    a, wide_a = operand(fa, (m, k), 1)
    b, wide_b = operand(fb, (k, n), 0)
    sa, sb = (torch.randint(120, 135, (rows, k // 32), dtype=torch.uint8) for rows in (m, n))
    out = torch.empty(m, n, device="cuda")
    dot_scaled_kernel[(1,)](on_gpu(a), on_gpu(sa), on_gpu(b), on_gpu(sb), out, FA=fa, FB=fb, M=m, N=n, K=k)
    scale_a = torch.exp2(sa.double() - 127).repeat_interleave(32, 1)
    scale_b = torch.exp2(sb.double() - 127).repeat_interleave(32, 1).T
    torch.testing.assert_close(out.double(), (wide_a * scale_a) @ (wide_b * scale_b), rtol=1e-4, atol=1e-2)


@triton.jit
def shapes_kernel(x, out, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    low, high = tl.split(tl.reshape(v, (N // 2, 2)))
    joined = tl.reshape(tl.join(low, high), (N,))
    tl.store(out + i, joined)
    tl.store(out + N + i, tl.flip(v, 0))
    tl.store(out + 2 * N + i, tl.sort(v))
    tl.store(out + 3 * N + i, tl.gather(v, N - 1 - i, 0))
    tl.store(out + 4 * N + i, tl.reshape(tl.trans(tl.reshape(v, (4, N // 4))), (N,)))
    tl.store(out + 5 * N + i, tl.interleave(low, high))
    tl.store(out + 6 * N + i, tl.sort(v, descending=True))
    tl.store(out + 7 * N + i, tl.ravel(tl.broadcast_to(tl.expand_dims(tl.load(x), 0), (N,))))


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_shapes(name: str) -> None:
    n = 32
    x = randn(n, dtype=DTYPES[name])
    out = torch.empty(8, n, dtype=DTYPES[name], device="cuda")
    shapes_kernel[(1,)](x, out, N=n)
    ascending = x.float().sort().values.to(x.dtype)
    wants = [x, x.flip(0), ascending, x.flip(0), x.reshape(4, -1).T.reshape(-1), x, ascending.flip(0), x[0].expand(n)]
    for got, want in zip(out, wants, strict=True):
        same(got, want.contiguous())


@triton.jit
def histogram_kernel(x, out, N: tl.constexpr, BINS: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(out + tl.arange(0, BINS), tl.histogram(v, BINS))
    tl.store(out + BINS + tl.arange(0, BINS), tl.histogram(v, BINS, mask=i < N // 2))


def test_histogram() -> None:
    x = on_gpu(torch.randint(0, 20, (128,), dtype=torch.int32))
    out = torch.empty(32, dtype=torch.int32, device="cuda")
    histogram_kernel[(1,)](x, out, N=128, BINS=16)
    want = torch.bincount(x.long(), minlength=20)[:16]
    half = torch.bincount(x[:64].long(), minlength=20)[:16]
    assert torch.equal(out[:16].long(), want) and torch.equal(out[16:].long(), half)


@triton.jit
def random_kernel(out, seed, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, tl.rand(seed, i))
    tl.store(out + N + i, tl.randn(seed, i))


def test_random() -> None:
    out = torch.empty(2, 1024, device="cuda")
    random_kernel[(1,)](out, 42, N=1024)
    assert float(out[0].min()) >= 0 and float(out[0].max()) < 1 and abs(float(out[0].mean()) - 0.5) < 0.05
    assert abs(float(out[1].mean())) < 0.15 and abs(float(out[1].std()) - 1) < 0.1


@triton.jit
def descriptor_kernel(x, out, M, N, BM: tl.constexpr, BN: tl.constexpr):
    source = tl.make_tensor_descriptor(x, shape=[M, N], strides=[N, 1], block_shape=[BM, BN])
    target = tl.make_tensor_descriptor(out, shape=[M, N], strides=[N, 1], block_shape=[BM, BN])
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    target.store([row, column], source.load([row, column]) * 2)


@triton.jit
def host_descriptor_kernel(source, target, BM: tl.constexpr, BN: tl.constexpr):
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    target.store([row, column], source.load([row, column]) * 2)


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_descriptors(name: str) -> None:
    from triton.tools.tensor_descriptor import TensorDescriptor

    x = randn(48, 64, dtype=DTYPES[name])
    out = torch.zeros_like(x)
    triton.set_allocator(lambda size, align, stream: torch.empty(size, dtype=torch.int8, device="cuda"))
    descriptor_kernel[(2, 2)](x, out, 48, 64, BM=32, BN=32)
    same(out, x * 2)
    out = torch.zeros_like(x)
    source, target = (TensorDescriptor.from_tensor(t, [32, 32]) for t in (x, out))
    host_descriptor_kernel[(2, 2)](source, target, BM=32, BN=32)
    same(out, x * 2)


if "have been removed" not in inspect.getsource(TritonSemantic) and hasattr(TritonSemantic, "make_block_ptr"):

    @triton.jit
    def block_pointer_kernel(x, out, M, N, BM: tl.constexpr, BN: tl.constexpr):
        row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
        source = tl.make_block_ptr(x, (M, N), (N, 1), (row, column), (BM, BN), (1, 0))
        target = tl.make_block_ptr(out, (M, N), (N, 1), (row, 0), (BM, BN), (1, 0))
        target = tl.advance(target, (0, column))
        tl.store(target, tl.load(source, boundary_check=(0, 1), padding_option="zero") * 2, boundary_check=(0, 1))

    @pytest.mark.parametrize("name", ["fp32", "bf16"])
    def test_block_pointers(name: str) -> None:
        x = randn(40, 50, dtype=DTYPES[name])
        out = torch.zeros_like(x)
        block_pointer_kernel[(2, 2)](x, out, 40, 50, BM=32, BN=32)
        same(out, x * 2)


@triton.jit
def masked_kernel(x, out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i, mask=i < n, other=float("-inf")))


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_masked_loads(name: str) -> None:
    x = randn(16, dtype=DTYPES[name])
    out = torch.zeros_like(x)
    masked_kernel[(1,)](x, out, 10, BLOCK=16)
    same(out[:10], x[:10])
    assert bool(torch.isneginf(out[10:].float()).all())
