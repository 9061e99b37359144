"""Grouped matrix product of a mixture of experts: each token's row times the weights of its experts, the slots sorted
by expert beforehand. With few tokens it is bound by the bytes of the weights, with many by the multiplications."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def experts(m: int, n: int, k: int, e: int, top_k: int, block: int, dtypes: str, **more) -> Case:
    """A case: tokens, sizes of the weights, experts and how many a token has, block of slots; dtypes of a, b and c."""
    a_dtype, b_dtype, out_dtype = dtypes.split()
    sizes = {"m": m, "n": n, "k": k, "e": e, "top_k": top_k, "block": block}
    parameters = {"pad": 0, "a_scale": "tensor", "weighted": True, "routing": "any", "fill": "normal", **more}
    return case(**sizes, a_dtype=a_dtype, b_dtype=b_dtype, out_dtype=out_dtype, **parameters)


task = Task(
    entry_point="moe_gemm",
    signature=(
        "moe_gemm(a: torch.Tensor, b: torch.Tensor, a_scale: torch.Tensor | None, b_scale: torch.Tensor | None,"
        " topk_weights: torch.Tensor | None, sorted_token_ids: torch.Tensor, expert_ids: torch.Tensor,"
        " num_tokens_post_padded: torch.Tensor, top_k: int, block_size: int, out_dtype: str) -> torch.Tensor"
    ),
    outputs="torch.empty((a.shape[0], top_k, b.shape[1]), dtype=getattr(torch, out_dtype), device=a.device)",
    level=5,
    category="mixture of experts",
    origin="ROCm/triton",
    # fp16: comes from 16-bit or int8 operands, whose sums are all but exact: one rounding, and no more.
    # bf16: may come from fp8, whose products Hopper sums with 14 bits; 1024 of these add up to 0.0012 of a row's
    # magnitude, and six times as much in one of a hundred million values. Without that limit it is twice that, or more.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(2e-2, 8.5e-3)),
    redrawn=("a", "b"),
    cases=[
        experts(1, 1, 1, 4, 1, 16, "bf16 bf16 bf16"),
        experts(75, 70, 200, 8, 2, 16, "fp16 fp16 fp16"),
        experts(57, 131, 96, 4, 1, 32, "bf16 bf16 bf16", weighted=False, routing="one", pad=8),
        experts(40, 45, 1500, 4, 2, 16, "fp16 fp16 fp16", fill="positive"),
        experts(65, 101, 129, 8, 2, 64, "bf16 bf16 bf16", routing="few", pad=3),
        experts(150, 66, 200, 4, 2, 128, "fp16 fp16 fp16", weighted=False),
        experts(29, 80, 144, 8, 1, 16, "fp16 fp16 fp16", fill="large"),
        experts(21, 48, 64, 4, 2, 32, "bf16 bf16 bf16", fill="tiny"),
        experts(18, 35, 100, 4, 2, 16, "fp16 fp16 fp16", fill="equal"),
        experts(30, 72, 2200, 8, 2, 16, "fp8e4m3 fp8e4m3 bf16"),
        experts(37, 65, 90, 4, 2, 32, "fp8e4m3 fp8e4m3 bf16", a_scale="token", weighted=False, pad=6),
        experts(33, 130, 200, 8, 2, 16, "bf16 int8 bf16", routing="few"),
        experts(70, 40, 77, 4, 1, 64, "fp16 int8 fp16", weighted=False, pad=1),
        experts(45, 90, 260, 8, 2, 16, "int8 int8 fp16"),
        experts(140, 67, 100, 4, 1, 128, "int8 int8 bf16", a_scale="token", routing="one"),
    ],
    workloads=[
        experts(16, 1024, 512, 4, 1, 16, "fp16 fp16 fp16"),
        experts(64, 14336, 4096, 8, 2, 32, "bf16 bf16 bf16"),
        experts(64, 14336, 4096, 8, 2, 32, "bf16 int8 bf16", weighted=False),
        experts(256, 7168, 4096, 8, 2, 64, "fp16 fp16 fp16", weighted=False),
        experts(1024, 14336, 4096, 8, 2, 128, "bf16 bf16 bf16"),
        experts(4096, 7168, 4096, 8, 2, 128, "fp16 fp16 fp16"),
        experts(4096, 7168, 4096, 8, 2, 128, "fp8e4m3 fp8e4m3 bf16"),
        experts(4096, 7168, 4096, 8, 2, 128, "int8 int8 bf16", a_scale="token"),
    ],
    interpreted=[
        experts(32, 128, 256, 4, 2, 16, "fp16 fp16 fp16"),
        experts(64, 128, 256, 4, 2, 32, "int8 int8 bf16", a_scale="token"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows and between experts: a kernel that reads it is found out."""


def _data(rng, dtype, pad, fill, *shape):
    """Rows that are adjacent only if there is no padding; the last two axes have some."""
    room = (*shape[:-2], shape[-2] + pad, shape[-1] + pad)
    if dtype == torch.int8:
        values = rng.integers(-128, 128, *room, dtype=torch.int8)
    else:
        values = rng.uniform(*room) if fill == "positive" else rng.normal(*room)
        if fill == "equal":
            values.fill_(0.75)
        values = values.mul_({"large": 200.0, "tiny": 2e-3}.get(fill, 1.0)).to(dtype)
    values[..., shape[-2] :, :] = OUTSIDE
    values[..., shape[-1] :] = OUTSIDE
    return values[..., : shape[-2], : shape[-1]]


def _route(case, rng):
    """The experts of each token, (m, top_k)."""
    wish = rng.uniform(case.m, case.e)
    if case.routing == "one":
        wish[:, case.e // 2] += 2  # the first choice of all
    elif case.routing == "few":
        wish[:, ::2] -= 2  # half of the experts have no token
    return wish.topk(case.top_k, dim=1).indices


def _blocks(slots, e, block):
    """For how many blocks there is room: as many as the worst routing needs."""
    return (slots + e * (block - 1) + block - 1) // block


def _sort(chosen, e, block):
    """Slots in the order of their experts, each expert's padded to whole blocks: as the instruction describes."""
    expert = chosen.reshape(-1)
    slots = expert.numel()
    order = expert.argsort(stable=True)
    count = torch.bincount(expert, minlength=e)
    ends = ((count + block - 1) // block * block).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    rank = torch.arange(slots, device=expert.device) - (count.cumsum(0) - count)[expert[order]]
    blocks = _blocks(slots, e, block)
    place = torch.arange(blocks * block, device=expert.device)
    # What counts no more looks like slots and experts.
    ids = torch.where(place < ends[-1], slots, place % slots)
    ids[starts[expert[order]] + rank] = order
    owner = torch.searchsorted(ends, block * torch.arange(blocks, device=expert.device), right=True)
    owner = torch.where(owner < e, owner, torch.arange(blocks, device=expert.device) % e)
    return ids.to(torch.int32), owner.to(torch.int32), ends[-1:].to(torch.int32)


@task.inputs
def inputs(case, rng):
    m, n, k, e = case.m, case.n, case.k, case.e
    ids, owner, padded = _sort(_route(case, rng), e, case.block)
    kind = dtype_name(case.b_dtype)
    b_shape = {"fp8e4m3": (e,), "int8": (e, n)}.get(kind)
    a_shape = None if case.a_dtype.itemsize == 2 else (m,) if case.a_scale == "token" else (1,)
    b_fill = "positive" if case.fill == "positive" else "normal"
    return {
        "a": _data(rng, case.a_dtype, case.pad, case.fill, m, k),
        "b": _data(rng, case.b_dtype, case.pad, b_fill, e, n, k),
        "a_scale": rng.uniform(*a_shape, low=0.01, high=0.1) if a_shape else None,
        "b_scale": rng.uniform(*b_shape, low=0.01, high=0.1) if b_shape else None,
        "topk_weights": rng.uniform(m, case.top_k, low=0.1, high=1.0) if case.weighted else None,
        "sorted_token_ids": ids,
        "expert_ids": owner,
        "num_tokens_post_padded": padded,
        "top_k": case.top_k,
        "block_size": case.block,
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


def _slots_of_experts(e, slots, ids, owner, padded, block):
    """For each expert its slots."""
    count = int(padded)
    ids, owner = ids[:count], owner[: count // block].repeat_interleave(block)
    return [ids[(owner == expert) & (ids < slots)].long() for expert in range(e)]


@task.oracle
def oracle(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    topk_weights: torch.Tensor | None,
    sorted_token_ids: torch.Tensor,
    expert_ids: torch.Tensor,
    num_tokens_post_padded: torch.Tensor,
    top_k: int,
    block_size: int,
    out_dtype: str,
) -> torch.Tensor:
    m, (e, n, _) = a.shape[0], b.shape
    a = a.to(torch.float64)  # exact for integers too
    if a_scale is not None:
        a = a * a_scale[:, None]
    c = a.new_zeros(m * top_k, n)
    groups = _slots_of_experts(e, m * top_k, sorted_token_ids, expert_ids, num_tokens_post_padded, block_size)
    for expert, mine in enumerate(groups):
        product = a[mine // top_k] @ b[expert].to(torch.float64).T
        c[mine] = product if b_scale is None else product * b_scale[expert]
    c = c.view(m, top_k, n)
    return c if topk_weights is None else c * topk_weights[:, :, None]


@task.eager
def eager(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    topk_weights: torch.Tensor | None,
    sorted_token_ids: torch.Tensor,
    expert_ids: torch.Tensor,
    num_tokens_post_padded: torch.Tensor,
    top_k: int,
    block_size: int,
    out_dtype: str,
) -> torch.Tensor:
    m, (e, n, _) = a.shape[0], b.shape
    dtype = getattr(torch, out_dtype)
    common = dtype if a.is_floating_point() else torch.bfloat16  # sums of int8 products would leave fp16's range
    c = torch.empty((m * top_k, n), dtype=dtype, device=a.device)
    groups = _slots_of_experts(e, m * top_k, sorted_token_ids, expert_ids, num_tokens_post_padded, block_size)
    for expert, mine in enumerate(groups):
        token = mine // top_k
        product = torch.matmul(a[token].to(common), b[expert].to(common).T)
        if a_scale is not None:
            product = product * (a_scale if a_scale.numel() == 1 else a_scale[token, None])
        if b_scale is not None:
            product = product * b_scale[expert]
        if topk_weights is not None:
            product = product * topk_weights.view(-1)[mine, None]
        c[mine] = product.to(dtype)
    return c.view(m, top_k, n)


@task.cost
def cost(case):
    m, n, k, e, slots = case.m, case.n, case.k, case.e, case.m * case.top_k
    size = case.a_dtype.itemsize
    moved = m * k * size + e * n * k * case.b_dtype.itemsize + slots * n * case.out_dtype.itemsize
    if size == 1:
        moved += 4 * (m if case.a_scale == "token" else 1)
    moved += 4 * {"fp8e4m3": e, "int8": e * n}.get(dtype_name(case.b_dtype), 0)
    moved += 4 * slots * case.weighted
    moved += 4 * (_blocks(slots, e, case.block) * (case.block + 1) + 1)
    return Cost(bytes=moved, flops=2 * slots * n * k, rate=dtype_name(case.a_dtype))
