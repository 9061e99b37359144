"""Solvers that the tests give as `--solver=…/solvers.py:Name`: each does one thing that a run has to stand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from harness.errors import ModelTrouble
from harness.solver import Message, Solution, TaskView, Workbench


class _Shown:
    """Starts from the reference."""

    uses_model: ClassVar[bool] = False

    def wants_reference(self, model: object) -> bool:
        """Always."""
        return True


def version(reference: str, number: int) -> str:
    """The reference with another block size; number 0 is wrong."""
    source = reference.replace("1024", str(32 << number))
    return source.replace("* tl.load", "* 7 * tl.load") if number == 0 else source


class Versions(_Shown):
    """Evaluates some versions, the first one wrong, with a pause after each; hands in the last."""

    name = "versions"

    def __init__(self, versions: int = 3, pause: float = 0.0) -> None:
        self.versions, self.pause = versions, pause

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The last version."""
        source = ""
        for number in range(self.versions):
            source = version(bench.reference(), number)
            bench.evaluate(source)
            time.sleep(self.pause)
        return Solution(source, origin=f"version {self.versions - 1}")


class Spender(_Shown):
    """Evaluates until its budget is spent; hands in nothing itself."""

    name = "spender"

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """Never comes back by itself."""
        for number in range(1, 6):
            bench.evaluate(version(bench.reference(), number))
            time.sleep(self.pause)
        raise AssertionError("no budget stopped it")


class Raising(_Shown):
    """Fails, after it has evaluated one right version if asked to."""

    name = "raising"

    def __init__(self, evaluate: bool = False) -> None:
        self.evaluate = evaluate

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """Raises."""
        if self.evaluate:
            bench.evaluate(bench.reference())
        raise ZeroDivisionError("its own fault")


class Missing(_Shown):
    """Looks for a file that is not there."""

    name = "missing"

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """Raises FileNotFoundError."""
        return Solution(Path("/no/such/file").read_text())


class Nothing(_Shown):
    """Hands in nothing, after it has evaluated a wrong and, if asked to, a right version."""

    name = "nothing"

    def __init__(self, wrong: bool = False, right: bool = False) -> None:
        self.wrong, self.right = wrong, right

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """None."""
        for number, wanted in ((0, self.wrong), (1, self.right), (0, self.right)):
            if wanted:
                bench.evaluate(version(bench.reference(), number))
        return None


class Troubled(_Shown):
    """Meets trouble of a model's provider until a counter in a file has reached `times`."""

    name = "troubled"

    def __init__(self, counter: Path, times: int) -> None:
        self.counter, self.times = counter, times

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The reference, once there is no more trouble."""
        met = len(self.counter.read_text()) if self.counter.exists() else 0
        if met < self.times:
            self.counter.write_text("x" * (met + 1))
            raise ModelTrouble("the provider is overloaded: try again later")
        return Solution(bench.reference())


class Hanging(_Shown):
    """Evaluates a version that never ends, and that has disarmed the signal at its parent's death."""

    name = "hanging"

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """Waits for the judge."""
        source = bench.reference().replace("    return y", "    while True: pass")
        source = f"import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n{source}"
        return Solution(source + "\n" * bench.evaluate(source).evaluation)


class Asking:
    """Asks the model once and hands in what it says."""

    name = "asking"

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The model's answer as it is."""
        return Solution(bench.model.complete([Message("user", task.instruction)]).text)


class Sleeper(_Shown):
    """Evaluates versions of which each call takes its time, another one in each sample, and hands in the last."""

    name = "sleeper"

    def __init__(self, versions: int = 2, call: float = 0.2) -> None:
        self.versions, self.call = versions, call

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The last version."""
        source = ""
        for number in range(1, self.versions + 1):
            source = version(bench.reference(), number).replace(
                "def doubled(x):", f"import time\n\ndef doubled(x):\n    time.sleep({self.call})  # {bench.sample}"
            )
            bench.evaluate(source)
        return Solution(source)


class Traveller(_Shown):
    """Tells where it works, touches all that a workbench has, and hands in the best of three versions."""

    name = "traveller"
    uses_model: ClassVar[bool] = True

    def __init__(self, pause: float = 0.0, fail: bool = False) -> None:
        self.pause, self.fail = pause, fail

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The best version."""
        import ray

        bench.log("where", node=ray.get_runtime_context().get_node_id(), scratch=bench.scratch.is_dir())
        answer = bench.model.complete([Message("user", f"hello from sample {bench.sample}")], sample=bench.sample)
        bench.save("answer.txt", f"{bench.model.name}: {answer.text}")
        for number in range(3):
            assert bench.shows_reference and bench.budget.evaluations == 10 - number
            feedback = bench.evaluate(version(bench.reference(), number))
            assert feedback.right is (number > 0) and (bench.best is None) is (number == 0)
            time.sleep(self.pause)
        if self.fail:
            raise LookupError("lost its way")
        return bench.best
