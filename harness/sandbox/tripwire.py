"""Tells the warden of acts that no kernel needs, before they happen: walking the stack, threads, processes, ctypes, ….

An audit hook of Python sees these acts wherever they are done; it can't be taken away, and its state is in a closure
that only such an act could reach. A line about each goes into a pipe that the warden reads when the process has ended:
what was written there stays written. `seal` writes a number there that the judge drew at the end; where it is missing,
the pipe was tampered with.

Nothing is forbidden here: what an act could do is limited by the walls. A line starts with its kind:

    cheating    proof that the candidate did what the rules forbid
    suspicious  an honest kernel has no need of it, and may still do it: a person should look
    torch       PyTorch compiles code of its own
"""

from __future__ import annotations

import _thread
import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

MOST_LINES = 32
"""Of each kind: many of one can't drown another."""
CHEATING, SUSPICIOUS, TORCH = "cheating", "suspicious", "torch"


@dataclass(frozen=True)
class Evidence:
    """The way into the pipe."""

    report: Callable[[str, str], None]
    """`report(kind, sentence)`: each sentence is told once. Ends the process if the pipe is gone."""
    seal: Callable[[str], None]
    """`seal(number)`: the last line."""


def evidence(fd: int) -> Evidence:
    """Evidence that goes into an open file."""
    write, leave, status = os.write, os._exit, os.fstat
    told: dict[str, set[str]] = {CHEATING: set(), SUSPICIOUS: set(), TORCH: set()}
    itself = (status(fd).st_dev, status(fd).st_ino)

    def put(line: str) -> None:
        data = line.replace("\n", " ").encode("utf-8", "replace")[:240] + b"\n"
        try:
            now = status(fd)
            whole = (now.st_dev, now.st_ino) == itself and write(fd, data) == len(data)
        except OSError:
            whole = False
        if not whole:
            leave(77)

    def report(kind: str, sentence: str) -> None:
        before = told[kind]
        if sentence not in before and len(before) < MOST_LINES:
            before.add(sentence)
            put(f"{kind} {sentence}")

    return Evidence(report, lambda number: put(f"end {number}"))


# --- whose code it is -------------------------------------------------------------------------------------------------

_STDLIB, _LIBRARY, _HARNESS, _CANDIDATE = "stdlib", "library", "harness", "candidate"


def owners(harness: str) -> Callable[[str], str]:
    """A function from a code's file name to whose it is. What lies in no library is the candidate's."""
    paths = sysconfig.get_paths()
    libraries = {paths["purelib"], paths["platlib"]}
    for name in ("torch", "triton", "numpy", "ml_dtypes"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            libraries.add(os.path.dirname(os.path.dirname(os.path.abspath(file))))
    table = [(os.path.join(harness, ""), _HARNESS)]
    table += [(os.path.join(each, ""), _LIBRARY) for each in sorted(libraries)]
    table += [(os.path.join(paths[each], ""), _STDLIB) for each in ("stdlib", "platstdlib")]
    known: dict[str, str] = {}

    def owner(filename: str) -> str:
        found = known.get(filename)
        if found is None:
            found = _STDLIB if filename.startswith("<frozen ") else _CANDIDATE
            for start, whose in table:
                if filename.startswith(start):
                    found = whose
                    break
            known[filename] = found
        return found

    return owner


# --- the acts ---------------------------------------------------------------------------------------------------------

Arguments = tuple[Any, ...]
_NEAREST, _ITSELF, _BY_STDLIB, _STACK = "nearest", "itself", "by stdlib", "stack"
"""Who has to be the candidate: the nearest code outside of the standard library; the code that acts; the code that acts
or has one of a few modules of the standard library act; anybody below."""


@dataclass(frozen=True)
class _Rule:
    kind: str
    who: str
    sentence: str
    """`{0}` is the event's first argument."""
    when: Callable[[Arguments], bool] = lambda arguments: True


def _frame_attribute(arguments: Arguments) -> bool:
    return arguments[1] in ("tb_frame", "gi_frame", "cr_frame", "ag_frame")


def _of_harness(arguments: Arguments) -> bool:
    return str(arguments[0]).partition(".")[0] in ("harness", "suites", "agents", "reports", "conftest")


def _compiler_of_torch(arguments: Arguments) -> bool:
    return str(arguments[0]).startswith(("torch._dynamo", "torch._inductor", "torch.utils.cpp_extension"))


def _other_kernels(arguments: Arguments) -> bool:
    return str(arguments[0]).partition(".")[0] in ("cupy", "numba", "jax", "tensorflow", "cffi", "pycuda", "cuda")


_THREAD = _Rule(CHEATING, _NEAREST, "it started a thread: work beside the call is not timed")
STARTED_PROCESS = "it started a process"
_PROCESS = _Rule(CHEATING, _NEAREST, STARTED_PROCESS)
_STACK_WALK = _Rule(CHEATING, _BY_STDLIB, "it looked at the stack of its caller")
_OBJECTS = _Rule(CHEATING, _NEAREST, "it searched the objects of the process")
_FOREIGN = _Rule(CHEATING, _NEAREST, "it called machine code through ctypes")
_NETWORK = _Rule(CHEATING, _NEAREST, "it tried to reach the network")
_SIGNAL = _Rule(CHEATING, _NEAREST, "it sent a signal to another process")
_SEARCH = _Rule(SUSPICIOUS, _NEAREST, "it searched folders outside of its scratch folder, {0} first")

RULES: dict[str, tuple[_Rule, ...]] = {
    "sys._getframe": (_STACK_WALK,),
    "sys._current_frames": (_STACK_WALK,),
    "sys._current_exceptions": (_STACK_WALK,),
    "sys.settrace": (_STACK_WALK,),
    "sys.setprofile": (_STACK_WALK,),
    "sys.monitoring.register_callback": (_STACK_WALK,),
    "object.__getattr__": (_Rule(CHEATING, _ITSELF, "it looked at the stack of its caller", _frame_attribute),),
    "object.__setattr__": (_Rule(CHEATING, _ITSELF, "it changed the code of a function"),),
    "object.__delattr__": (_Rule(CHEATING, _ITSELF, "it changed the code of a function"),),
    "gc.get_objects": (_OBJECTS,),
    "gc.get_referrers": (_OBJECTS,),
    "gc.get_referents": (_OBJECTS,),
    "sys.addaudithook": (_Rule(CHEATING, _NEAREST, "it added an audit hook"),),
    "_thread.start_new_thread": (_THREAD,),
    "_thread.start_joinable_thread": (_THREAD,),
    "os.fork": (_PROCESS,),
    "os.forkpty": (_PROCESS,),
    "os.posix_spawn": (_PROCESS,),
    "os.exec": (_PROCESS,),
    "os.system": (_PROCESS,),
    "subprocess.Popen": (_PROCESS,),
    "ctypes.dlopen": (_FOREIGN,),
    "ctypes.dlsym": (_FOREIGN,),
    "ctypes.dlsym/handle": (_FOREIGN,),
    "ctypes.string_at": (_FOREIGN,),
    "ctypes.wstring_at": (_FOREIGN,),
    "ctypes.cdata": (_FOREIGN,),
    "ctypes.cdata/buffer": (_FOREIGN,),
    "ctypes.call_function": (_FOREIGN,),
    "ctypes.PyObj_FromPtr": (_FOREIGN,),
    "socket.__new__": (_NETWORK,),
    "socket.connect": (_NETWORK,),
    "socket.getaddrinfo": (_NETWORK,),
    "socket.gethostbyname": (_NETWORK,),
    "os.kill": (_SIGNAL,),
    "os.killpg": (_SIGNAL,),
    "os.listdir": (_SEARCH,),
    "os.scandir": (_SEARCH,),
    "import": (
        _Rule(CHEATING, _NEAREST, "it imported {0}, which is no part of a kernel", _of_harness),
        _Rule(TORCH, _STACK, "it has PyTorch compile code", _compiler_of_torch),
        _Rule(SUSPICIOUS, _NEAREST, "it imported {0}, which could do the work", _other_kernels),
    ),
    "exec": (_Rule(SUSPICIOUS, _ITSELF, "it executed code that it made at run time"),),
    "mmap.__new__": (_Rule(SUSPICIOUS, _NEAREST, "it mapped memory of its own"),),
    "pickle.find_class": (_Rule(SUSPICIOUS, _NEAREST, "it unpickled an object"),),
    "sys.unraisablehook": (),
}
"""By the name of Python's audit event (https://docs.python.org/3/library/audit_events.html)."""

_LOOKS_FOR_OTHERS = ("inspect.py", "traceback.py", "pdb.py", "bdb.py")
"""Modules of the standard library through which the stack is walked."""
_OPENS_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_STARTS_THREADS = tuple(
    (module, f"{prefix}{name}")
    for module, prefix in ((_thread, ""), (threading, "_"))
    for name in ("start_new_thread", "start_new", "start_joinable_thread")
)
_MOVES = ("os.rename", "os.link", "os.symlink")
"""Events that give a file a second argument for its name."""
_WROTE_KERNELS = "it wrote into the folder where Triton keeps compiled kernels"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")


def arm(told: Evidence, scratch: str, harness: str, compiled: str) -> None:
    """From here on acts of code that lies in no library are told. `scratch` is the folder that the candidate may use,
    but for `compiled`, where Triton keeps kernels; `harness` is the package's own."""
    getframe, owner, busy, searched = sys._getframe, owners(harness), [False], list[str]()
    report, rules, looked_at = told.report, dict(RULES), ("open", "compile", "code.__new__", *_MOVES)
    own = (os.path.join(scratch, ""), os.path.join(os.path.realpath(scratch), ""), "/dev/shm/")
    kernels = (os.path.join(compiled, ""), os.path.join(os.path.realpath(compiled), ""))

    def blamed(who: str, frame: FrameType | None) -> bool:
        first = True
        while frame is not None:
            name = frame.f_code.co_filename
            whose = owner(name)
            if whose == _CANDIDATE:
                return True
            if who == _ITSELF or (who == _BY_STDLIB and first and not name.endswith(_LOOKS_FOR_OTHERS)):
                return False
            if who != _STACK and whose != _STDLIB:
                return False
            first, frame = False, frame.f_back
        return False

    def place(path: object) -> str:
        """Absolute, links of the process followed."""
        text = os.fsdecode(path) if isinstance(path, (str, bytes)) else "."
        return os.path.abspath(text)

    def opened(arguments: Arguments, frame: FrameType) -> None:
        path, mode, flags = (*arguments, None, None)[:3]
        if not isinstance(path, (str, bytes)) or not blamed(_NEAREST, frame):
            return
        name = place(path)
        writes = bool(isinstance(flags, int) and flags & _OPENS_FOR_WRITING) or any(
            c in str(mode or "") for c in "wax+"
        )
        if writes and name.startswith(kernels):
            report(CHEATING, _WROTE_KERNELS)
        if name.startswith(own) or name + "/" in own or name in _DEVICES:
            return
        parts = name.split("/")
        if writes:
            report(CHEATING, f"it tried to write {name}, outside of its scratch folder")
        elif parts[1] == "proc" and len(parts) > 3 and parts[-1] not in ("cpuinfo", "meminfo", "status", "stat"):
            report(CHEATING, f"it tried to read {name}")
        elif parts[1] not in ("proc", "sys") and owner(name) == _CANDIDATE:
            report(SUSPICIOUS, f"it tried to read {name}, outside of its scratch folder")

    def moved(arguments: Arguments, frame: FrameType) -> None:
        if blamed(_NEAREST, frame) and place(arguments[1]).startswith(kernels):
            report(CHEATING, _WROTE_KERNELS)

    def disguised(event: str, arguments: Arguments, frame: FrameType) -> None:
        filename = arguments[1] if len(arguments) > 1 else None
        if isinstance(filename, str) and owner(filename) != _CANDIDATE and blamed(_ITSELF, frame):
            report(CHEATING, f"it made code that claims to be of {filename}")

    def hook(event: str, arguments: Arguments) -> None:
        found = rules.get(event)
        if (found is None and event not in looked_at) or busy[0]:
            return
        busy[0] = True
        try:
            frame = getframe(1)
            if event == "open":
                opened(arguments, frame)
            elif event in _MOVES:
                moved(arguments, frame)
            elif found is None:
                disguised(event, arguments, frame)
            else:
                for rule in found:
                    if rule.when(arguments) and blamed(rule.who, frame):
                        at = str(arguments[0] if arguments else "")[:120]
                        if rule is _SEARCH:
                            at = place(arguments[0])
                            importing = frame.f_code.co_filename.startswith("<frozen importlib")
                            if importing or searched or (at + "/").startswith(own):
                                continue
                            searched.append(at)
                        report(rule.kind, rule.sentence.format(at))
        finally:
            busy[0] = False

    def telling(start: Callable[..., Any]) -> Callable[..., Any]:
        def start_new_thread(*args: Any, **kwargs: Any) -> Any:
            if blamed(_THREAD.who, getframe(1)):
                report(_THREAD.kind, _THREAD.sentence)
            return start(*args, **kwargs)

        return start_new_thread

    for module, name in _STARTS_THREADS:  # of which Python tells only from some version on
        if hasattr(module, name):
            setattr(module, name, telling(getattr(module, name)))
    sys.addaudithook(hook)
