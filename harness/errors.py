"""Errors that a person can act on. Each message is one line: what happened, where, and what to do next."""

from __future__ import annotations


class KernelAssayError(Exception):
    """Base of all errors that this package raises on purpose."""


class UsageError(KernelAssayError):
    """The command, an option, a specification or an input file is off; nothing has been spent yet."""


class SuiteError(UsageError):
    """A suite or one of its tasks can't be loaded."""


class SuiteAbsent(SuiteError):
    """A suite's tasks are not stored here, and where to find them was not said."""


class InfrastructureError(KernelAssayError):
    """Trouble of the machine or of the harness: never a wrong kernel; the attempt is owed again."""


class ModelTrouble(InfrastructureError):
    """A model's provider failed after all retries (unreachable, overloaded, key refused, broken answer)."""


class Stopped(BaseException):
    """The command ends: raised in attempts that still run, past all that a solver may catch. They are owed."""


class BudgetSpent(KernelAssayError):
    """An attempt's budget is used up. Solvers need not catch it: the best solution so far is graded."""
