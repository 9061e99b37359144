"""Matrix product with so few terms that one tile holds them all: rows of `a` and columns of `b` are loaded once,
multiplied once, and a tile of `c` is written. Writing is nearly all of the work."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _product(
    a_ptr, b_ptr, c_ptr, m, n, stride_a, stride_b,
    K: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, TMA_C: tl.constexpr,
    UNIT_A: tl.constexpr, UNIT_B: tl.constexpr, UNIT_N: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """One tile a program."""
    n *= UNIT_N
    stride_a *= UNIT_A
    stride_b *= UNIT_B
    # Neighbouring programs write neighbouring tiles of the same rows.
    tiles_n = tl.cdiv(n, BLOCK_N)
    start_m = tl.program_id(0) // tiles_n * BLOCK_M
    start_n = tl.program_id(0) % tiles_n * BLOCK_N
    offs_m = start_m + tl.arange(0, BLOCK_M)[:, None]
    offs_n = start_n + tl.arange(0, BLOCK_N)[None, :]
    a_k = tl.arange(0, BLOCK_K)[None, :]
    b_k = tl.arange(0, BLOCK_K)[:, None]
    a_ptrs = a_ptr + (offs_m * stride_a + a_k if A_BY_K else a_k * stride_a + offs_m)
    b_ptrs = b_ptr + (offs_n * stride_b + b_k if B_BY_K else b_k * stride_b + offs_n)
    a = tl.load(a_ptrs, mask=(offs_m < m) & (a_k < K), other=0.0)
    b = tl.load(b_ptrs, mask=(offs_n < n) & (b_k < K), other=0.0)
    c = tl.dot(a, b)
    if TMA_C:
        c_ptr.store([start_m, start_n], c.to(c_ptr.dtype))
    else:
        c_ptrs = c_ptr + offs_m * n + offs_n
        tl.store(c_ptrs, c.to(c_ptr.dtype.element_ty), mask=(offs_m < m) & (offs_n < n))


@triton.jit
def _product_by_blocks(
    a, b, c, m, n, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Several tiles a program: operands of the next ones are loaded while the last one is stored."""
    tiles_n = tl.cdiv(n, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tl.cdiv(m, BLOCK_M) * tiles_n, tl.num_programs(0)):
        start_m = tile // tiles_n * BLOCK_M
        start_n = tile % tiles_n * BLOCK_N
        x = a.load([start_m, 0]) if A_BY_K else a.load([0, start_m]).T
        y = b.load([start_n, 0]).T if B_BY_K else b.load([0, start_n])
        c.store([start_m, start_n], tl.dot(x, y).to(c.dtype))


def _unit(size: int) -> int:
    """The largest power of two, up to 16, that divides a size. Kernels get sizes in such units, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    return (size | 16) & -(size | 16)


def _config(m: int, n: int, block_k: int, itemsize: int, tma: bool) -> tuple[int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, warps, stages, programs a multiprocessor; 0: one a tile). `itemsize` is that of the result."""
    if m * n < 1 << 22:
        return 32, 64, 4, 1, 0
    if not tma or itemsize > 2:  # a tile of 4-byte results leaves no room for the next one's operands
        return 64, 128, 4, 1, 0
    return (64, 256, 4, 2, 2) if block_k <= 64 else (128, 128, 8, 3, 1)


_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def _has_tma() -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _fits_tma(x: torch.Tensor) -> bool:
    """Rows have to start at multiples of 16 bytes."""
    return x.data_ptr() % 16 == 0 and x.stride(0) * x.element_size() % 16 == 0


def matmul_no_scf(a: torch.Tensor, b: torch.Tensor, out_dtype: str) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=_DTYPES[out_dtype], device=a.device)
    a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
    # As they lie in memory: rows one after the other.
    a_rows, b_rows = a if a_by_k else a.t(), b.t() if b_by_k else b
    block_k = max(16, triton.next_power_of_2(k))
    tma = _has_tma() and _fits_tma(c)
    everything = tma and _fits_tma(a_rows) and _fits_tma(b_rows)
    block_m, block_n, warps, stages, programs = _config(m, n, block_k, c.element_size(), everything)
    tiles = triton.cdiv(m, block_m) * triton.cdiv(n, block_n)
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    if programs:
        programs *= torch.cuda.get_device_properties(c.device).multi_processor_count
        _product_by_blocks[(min(tiles, programs),)](
            from_tensor(a_rows, [block_m, block_k] if a_by_k else [block_k, block_m]),
            from_tensor(b_rows, [block_n, block_k] if b_by_k else [block_k, block_n]),
            from_tensor(c, [block_m, block_n]), m, n,
            A_BY_K=a_by_k, B_BY_K=b_by_k, BLOCK_M=block_m, BLOCK_N=block_n, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    stride_a, stride_b = a_rows.stride(0), b_rows.stride(0)
    unit_a, unit_b, unit_n = _unit(stride_a), _unit(stride_b), _unit(n)
    tma_c = tma and m * n >= 1 << 22 and block_k > 64 and c.element_size() > 2
    _product[(tiles,)](
        a, b, from_tensor(c, [block_m, block_n]) if tma_c else c, m, n // unit_n, stride_a // unit_a,
        stride_b // unit_b, K=k, A_BY_K=a_by_k, B_BY_K=b_by_k, TMA_C=tma_c,
        UNIT_A=unit_a, UNIT_B=unit_b, UNIT_N=unit_n,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
