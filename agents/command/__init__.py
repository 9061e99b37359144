"""The solver `command`: any program that works in a folder, as a solver.

    pytest suites/rocm --solver='command:run=my-agent --yes,seconds=900,environment=HOME+MY_API_KEY'

The program finds a folder with the task, a kernel to fill in, and an `evaluate` that asks the judge; what stands in
`kernel.py` when it ends, or when its time is up, is graded. It is trusted as far as whoever starts it trusts it: it
runs as that user, with no walls round it, and could read the tasks' references from the disk. What it writes is judged
behind the walls like any candidate. It gets no key that is not named.

    solver.py      options, the attempt from start to end
    folder.py      what the program finds, and what is read back; how_to_work.md is its README
    server.py      the judge behind a door on the loopback interface
    process.py     the program while it runs: its output, its end
    supervise.py   a small process above it, so that nothing that it starts outlives it
    evaluate.py    the script that it calls; a file of its own that imports nothing of the harness
"""

from agents.command.solver import CommandSolver

__all__ = ["CommandSolver"]
