"""A matrix times a number."""

from harness.task import Cost, Task, case

task = Task(
    entry_point="scaled",
    signature="scaled(x: torch.Tensor, factor: float) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=1,
    category="elementwise",
    origin="this project",
    cases=[
        case(rows=1, cols=1, pad=0, std=1.0, factor=3.0, dtype="fp32"),
        case(rows=3, cols=137, pad=5, std=1.0, factor=-0.5, dtype="fp32"),
        case(rows=2, cols=64, pad=0, std=0.001, factor=2.0, dtype="fp16"),
        case(rows=2, cols=70, pad=0, std=1000.0, factor=1.5, dtype="fp32"),
        case(rows=2, cols=7, pad=0, std=0.0, factor=1.25, dtype="fp32"),
    ],
    workloads=[case(rows=4096, cols=8192, pad=0, std=1.0, factor=3.0, dtype="fp32")],
)


@task.inputs
def inputs(case, rng):
    x = rng.normal(case.rows, case.cols + case.pad, std=case.std, mean=0.0 if case.std else 2.0)
    x[:, case.cols :] = 1e4
    return {"x": x.to(case.dtype)[:, : case.cols], "factor": case.factor}


@task.oracle
def oracle(x, factor):
    return x * factor


@task.cost
def cost(case):
    return Cost(bytes=2 * case.rows * case.cols * case.dtype.itemsize)
