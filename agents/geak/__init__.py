"""The solver `geak`: Generator, Evaluator, Reflector and Optimizer in a loop.

Functional correctness is the gatekeeper; performance is a score and never a gate. A turn makes one version:

- after a right version, the Optimizer reads the fastest right versions, slowest first and best last, and proposes a
  strategy in words; the Generator carries it out on the best version;
- after a wrong one, the Reflector says what is wrong, and the Generator repairs it;
- after too many failed repairs in a row the line is left, and the next turn starts from the best right version, or
  afresh where there is none.

Only the Generator writes code, only the judge (through the workbench) says what is right and how fast. The budget
counts turns; debugging and optimising interleave; the budget is used up unless a threshold or patience is set.

    solver.py     options, parallel instances, the choice of the result
    loop.py       the turns of one instance
    memory.py     versions, and what may be said of them
    dialogue.py   the line to the model, and what prompts show besides the task
    generator.py, reflector.py, optimizer.py, critic.py   a role each, its prompt in templates/

The paper's ablation, each line one thing more (for a language model):

    geak:knowledge=no,one_shot=no,optimizer=no
    geak:one_shot=no,optimizer=no
    geak:optimizer=no
    geak
"""

from agents.geak.solver import GeakSolver

__all__ = ["GeakSolver"]
