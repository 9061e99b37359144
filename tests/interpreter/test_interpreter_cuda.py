"""What candidates written for a GPU do with torch, on a machine without one."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
import triton.testing

from harness.sandbox import interpreter
from harness.sandbox.interpreter import device as facts
from harness.sandbox.interpreter.host import to_numpy

CUDA = torch.device("cuda", 0)
MODULE = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))

NAMES = {"torch": torch, "np": np, "copy": copy, "MODULE": MODULE}

SNIPPETS = [
    # Each gives a tensor that a kernel may read.
    "torch.empty(4, device='cuda')",
    "torch.zeros((2, 2), device='cuda:0', dtype=torch.bfloat16)",
    "torch.ones(4, device=torch.device('cuda'))",
    "torch.full((4,), 3.0, device=torch.device('cuda:0'))",
    "torch.full((4,), 3.0, device=0)",
    "torch.rand(4, device='cuda')",
    "torch.randn(4, device='cuda', dtype=torch.float16)",
    "torch.randn(4, device='cuda', generator=torch.Generator(device='cuda').manual_seed(0))",
    "torch.randint(0, 10, (4,), device='cuda')",
    "torch.randperm(4, device='cuda')",
    "torch.arange(4, device='cuda')",
    "torch.linspace(0, 1, 4, device='cuda')",
    "torch.eye(3, device='cuda')",
    "torch.tensor([1, 2, 3], device='cuda')",
    "torch.as_tensor([1, 2, 3], device='cuda')",
    "torch.as_tensor(torch.zeros(3), device='cuda')",
    "torch.empty_strided((2, 2), (2, 1), device='cuda')",
    "torch.tril_indices(3, 3, device='cuda')",
    "torch.empty_like(torch.zeros(3), device='cuda')",
    "torch.zeros_like(torch.zeros(3, device='cuda'))",
    "torch.zeros(3).cuda()",
    "torch.zeros(3).cuda(0, non_blocking=True)",
    "torch.zeros(3).to('cuda')",
    "torch.zeros(3).to('cuda', torch.float16)",
    "torch.zeros(3).to(device='cuda', dtype=torch.float16)",
    "torch.zeros(3).to(torch.device('cuda'), non_blocking=True)",
    "torch.zeros(3).to(torch.zeros(1, device='cuda'))",
    "torch.zeros(3, device='cuda').half().float().contiguous()",
    "torch.zeros(3, device='cuda').new_empty(4)",
    "torch.zeros(3).new_zeros(4, device='cuda')",
    "torch.zeros(3, device='cuda').new_full((2,), 1.0)",
    "torch.zeros(4, device='cuda').view(2, 2).t()",
    "torch.zeros(3).pin_memory()",
    "torch.empty(3, device=torch.zeros(1, device='cuda').device)",
    "torch.empty(3, device=torch.zeros(1, device='cuda').get_device())",
    "torch.nn.Linear(4, 3, device='cuda').weight",
    "torch.nn.Linear(4, 3).cuda().weight",
    "copy.deepcopy(MODULE).to('cuda')(torch.zeros(2, 4, device='cuda'))",
    "torch.nn.Parameter(torch.zeros(3, device='cuda'))",
    "copy.deepcopy(torch.zeros(3, device='cuda'))",
    "torch.from_numpy(np.zeros(3)).cuda()",
    "torch.matmul(torch.zeros(2, 2, device='cuda'), torch.zeros(2, 2, device='cuda'))",
    "torch.zeros(3).type('torch.cuda.FloatTensor')",
    "torch.cuda.FloatTensor(3)",
    "torch.nn.functional.softmax(torch.zeros(3, device='cuda'), dim=-1)",
]


@triton.jit
def touch(x):
    tl.load(x)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_tensors_on_the_gpu(snippet: str) -> None:
    tensor = eval(snippet, dict(NAMES))
    assert tensor.is_cuda and not tensor.is_cpu
    assert tensor.device == CUDA and tensor.device.type == "cuda" and str(tensor.device) == "cuda:0"
    assert tensor.get_device() == 0
    assert interpreter.true_device(tensor).type == "cpu"
    touch[(1,)](tensor)


@pytest.mark.parametrize(
    "snippet",
    [
        "torch.zeros(3)",
        "torch.tensor([1.0])",
        "torch.randn(3, device='cpu')",
        "torch.arange(3)",
        "torch.zeros(3, device='cuda').cpu()",
        "torch.zeros(3, device='cuda').to('cpu')",
        "torch.zeros(3).to(torch.float16)",
        "torch.empty_like(torch.zeros(3))",
        "torch.empty_like(torch.zeros(3, device='cuda'), device='cpu')",
    ],
)
def test_tensors_on_the_host(snippet: str) -> None:
    tensor = eval(snippet, dict(NAMES))
    assert not tensor.is_cuda and tensor.device.type == "cpu" and tensor.get_device() == -1
    with pytest.raises(Exception, match="cpu tensor"):
        touch[(1,)](tensor)
    touch[(1,)](interpreter.on_device(tensor))


def test_moves_are_copies() -> None:
    x = torch.zeros(3, device="cuda")
    host = x.cpu()
    host += 1
    assert x.sum() == 0 and host.cuda().sum() == 3
    assert x.cuda() is x and x.to("cuda") is x and x.to(torch.float32) is x


def test_default_device() -> None:
    with torch.device("cuda"):
        assert torch.zeros(3).is_cuda
    torch.set_default_device("cuda")
    try:
        assert torch.zeros(3).is_cuda and torch.get_default_device().type == "cuda"
    finally:
        torch.set_default_device(None)
    assert not torch.zeros(3).is_cuda


def test_wrong_devices() -> None:
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.zeros(3, device="cuda:1")
    with pytest.raises(RuntimeError):
        torch.zeros(3, device="cudda")


def test_facts() -> None:
    assert torch.cuda.is_available() and torch.cuda.device_count() == 1 and torch.cuda.current_device() == 0
    properties = torch.cuda.get_device_properties("cuda")
    for name in [
        "multi_processor_count",
        "total_memory",
        "major",
        "minor",
        "name",
        "warp_size",
        "L2_cache_size",
        "gcnArchName",
    ]:
        assert getattr(properties, name) is not None
    for name in ["max_threads_per_multi_processor", "regs_per_multiprocessor", "shared_memory_per_block_optin"]:
        assert getattr(properties, name) > 0
    assert torch.cuda.get_device_capability() == (9, 0) == torch.cuda.get_device_capability(0)
    assert torch.cuda.get_device_name(CUDA) == facts.NAME
    assert torch.cuda.is_bf16_supported() and torch.version.hip is None
    free, total = torch.cuda.mem_get_info()
    assert 0 < free <= total
    torch.cuda.set_device(0)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.memory_allocated() == 0 and torch.cuda.max_memory_allocated() == 0
    with torch.cuda.device(0), torch.cuda.device(CUDA), torch.cuda.nvtx.range("x"):
        torch.cuda.synchronize()
    if hasattr(torch, "accelerator"):
        assert torch.accelerator.current_accelerator().type == "cuda"


def test_seeds() -> None:
    draws = []
    for seed in (torch.manual_seed, torch.cuda.manual_seed, torch.manual_seed):
        seed(5)
        torch.cuda.manual_seed_all(5)
        draws.append(torch.rand(4, device="cuda"))
    assert torch.equal(draws[0], draws[1]) and torch.equal(draws[0], draws[2])


def test_streams_and_events() -> None:
    stream = torch.cuda.Stream()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        start.record()
        torch.zeros(3, device="cuda").record_stream(stream)
        end.record(stream)
    end.synchronize()
    torch.cuda.current_stream().synchronize()
    torch.cuda.default_stream().wait_event(end)
    assert end.query() and start.elapsed_time(end) > 0
    with pytest.raises(ValueError, match="recorded"):
        torch.cuda.Event(enable_timing=True).elapsed_time(end)


def test_autocast() -> None:
    x = torch.randn(4, 4, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
    with torch.cuda.amp.autocast():
        assert (x @ x).dtype == torch.float16


def test_autograd_and_printing() -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad is not None and x.grad.is_cuda and x.grad.tolist() == [2, 2, 2]
    assert "cuda:0" in repr(x)
    assert x.detach().cpu().numpy().sum() == 3 and float(x.sum()) == 3
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu\(\)"):
        x.numpy()
    assert x.numpy(force=True).sum() == 3


def test_harness_code_keeps_working() -> None:
    array = np.arange(4, dtype=np.float32)
    tensor = torch.from_numpy(array)
    touch[(1,)](tensor)
    assert np.shares_memory(to_numpy(tensor), array)
    buffer = bytearray(16)
    view = torch.frombuffer(buffer, dtype=torch.float32)
    view.copy_(tensor)
    assert bytes(buffer) == array.tobytes()
    file = io.BytesIO()
    torch.save({"x": view}, file)
    file.seek(0)
    assert torch.equal(torch.load(file, map_location="cuda")["x"], tensor)
    torch.testing.assert_close(view, tensor)


def test_triton_driver_and_benchmarks() -> None:
    driver = triton.runtime.driver.active
    target = driver.get_current_target()
    assert (target.backend, target.arch, target.warp_size) == ("cuda", 90, 32)
    properties = driver.utils.get_device_properties(driver.get_current_device())
    assert properties["multiprocessor_count"] > 0 and properties["max_shared_mem"] > 100_000
    assert driver.get_active_torch_device() == CUDA and driver.get_device_interface() is torch.cuda
    driver.clear_cache(driver.get_empty_cache_for_benchmark())
    calls: list[int] = []
    assert triton.testing.do_bench(lambda: calls.append(1), warmup=25, rep=100) > 0
    assert len(triton.testing.do_bench(lambda: calls.append(1), quantiles=[0.5, 0.2, 0.8])) == 3
    assert triton.testing.do_bench_cudagraph(lambda: calls.append(1)) > 0
    assert len(calls) < 20
    assert triton.cdiv(5, 2) == 3 and triton.next_power_of_2(5) == 8


def test_compile_leaves_functions_alone() -> None:
    @torch.compile(fullgraph=True)
    def double(x: Any) -> Any:
        return x * 2

    assert double(torch.ones(2, device="cuda")).tolist() == [2, 2]
    assert torch.compile(MODULE) is MODULE


def test_library_operators() -> None:
    @torch.library.custom_op("assay_test::double", mutates_args=(), device_types="cuda")
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert double(torch.ones(2, device="cuda")).tolist() == [2, 2]


def test_costs_little() -> None:
    import time

    def per_call(fn: Any, n: int = 2000) -> float:
        start = time.perf_counter()
        for _ in range(n):
            fn()
        return (time.perf_counter() - start) / n

    x = torch.zeros(3, device="cuda")
    assert per_call(lambda: x.device) < 2e-5
    assert per_call(lambda: torch.empty(3, device="cuda")) < 5e-5
