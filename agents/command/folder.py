"""The folder that the program works in: what it finds there, and what is read back.

instruction.md   the whole task        README.md    how to work
kernel.py        to be filled in       evaluate     asks the judge (.judge holds where, and the token)
"""

from __future__ import annotations

import json
import os
import stat
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from agents.command.server import BODY_BYTES
from harness.solver import TaskView

FILES = ("instruction.md", "README.md", "kernel.py", "evaluate", ".judge")
_SHEBANG_BYTES = 120
"""The kernel takes no longer path after `#!`, and none with a space."""

_KERNEL = '''\
"""{name}: see instruction.md."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


def {signature}:
    raise NotImplementedError
'''

_INSTRUCTION = """\
{instruction}

## About this task
- Name: {name}{aliases}; suite {suite}; category {category}; level {level}.
- Entry point: `{signature}`
- The outputs are shaped and typed like: `{outputs}`
- It is judged on: {device} ({device_kind}).
"""


class NoKernelError(Exception):
    """There is no kernel to hand in; the message says why."""


def kernel_template(task: TaskView) -> str:
    """What stands in `kernel.py` at first."""
    return _KERNEL.format(name=task.name, signature=task.signature.strip())


def furnish(folder: Path, task: TaskView, *, port: int, token: str, evaluations: int | None, seconds: float) -> None:
    """Make the folder with all its files."""
    folder.mkdir(parents=True)
    aliases = f" (also {', '.join(task.aliases)})" if task.aliases else ""
    told = {**vars(task), "instruction": task.instruction.strip(), "aliases": aliases}
    number = "any number of evaluations" if evaluations is None else f"{evaluations} evaluations"
    here = files("agents.command")
    readme = Template((here / "how_to_work.md").read_text(encoding="utf-8"))
    _, _, script = (here / "evaluate.py").read_text(encoding="utf-8").partition("\n")
    texts = {
        "instruction.md": _INSTRUCTION.format(**told),
        "README.md": readme.substitute(signature=task.signature, evaluations=number, seconds=f"{seconds:.0f}"),
        "kernel.py": kernel_template(task),
        "evaluate": f"#!{_interpreter()}\n{script}",
        ".judge": json.dumps({"port": port, "token": token}),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "evaluate").chmod(0o755)
    (folder / ".judge").chmod(0o600)


def kernel_left(folder: Path, task: TaskView) -> str:
    """The source that stands in `kernel.py` at the end. Raises `NoKernelError`. Nothing in the folder is trusted: no
    link is followed and no pipe is waited for."""
    try:
        handle = os.open(folder / "kernel.py", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise NoKernelError(f"kernel.py can't be read: {error.strerror}") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise NoKernelError("kernel.py is no plain file")
        if about.st_size > BODY_BYTES:
            raise NoKernelError(f"kernel.py has {about.st_size} bytes: no more than {BODY_BYTES} are taken")
        data = os.read(handle, BODY_BYTES)
    finally:
        os.close(handle)
    try:
        source = data.decode()
    except UnicodeDecodeError:
        raise NoKernelError("kernel.py is no UTF-8 text") from None
    if source.strip() in ("", kernel_template(task).strip()):
        raise NoKernelError("kernel.py was left as it was given" if source.strip() else "kernel.py is empty")
    return source


def _interpreter() -> str:
    own = sys.executable
    return own if own and len(own) < _SHEBANG_BYTES and " " not in own else "/usr/bin/env python3"
