"""System calls that a candidate's process can't make: a seccomp filter, as a table and an assembler of a few lines.

The filter is the last wall, put up in the candidate's own process before any of its code; nothing takes it down again,
and every thread and every process that the candidate starts has it. What is denied fails with EPERM. The default is to
allow: PyTorch, Triton (with the C compiler and ptxas that it starts), CUDA and ROCm have to work behind it.

It looks at numbers alone, never at what a pointer points to: what a call may do with files is Landlock's business, and
datagrams to a named socket of a system service can still be sent (`connect` can't).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_libc = ctypes.CDLL(None, use_errno=True)

# --- the table: (number on x86_64, number on aarch64), None where the architecture has no such call -------------------

Numbers = dict[str, tuple[int | None, int | None]]

DENIED: dict[str, Numbers] = {
    "memory and files of other processes": {
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "kcmp": (312, 272),
        "pidfd_getfd": (438, 438),
        "process_madvise": (440, 440),
    },
    "covers over folders taken off, another root": {
        "mount": (165, 40),
        "umount2": (166, 39),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fspick": (433, 433),
        "mount_setattr": (442, 442),
        "open_tree_attr": (467, 467),
    },
    "namespaces of its own, in which it would be root and reach more of the kernel": {
        "setns": (308, 268),
        "unshare": (272, 97),
    },
    "files by handle, past the walls around paths": {
        "name_to_handle_at": (303, 264),
        "open_by_handle_at": (304, 265),
    },
    "parts of the kernel that have often been a way out, and that no kernel of a GPU needs": {
        "bpf": (321, 280),
        "perf_event_open": (298, 241),
        "userfaultfd": (323, 282),
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "add_key": (248, 217),
        "request_key": (249, 218),
        "keyctl": (250, 219),
        "modify_ldt": (154, None),
    },
    "timers that run a handler behind the back of whoever measures": {
        "setitimer": (38, 103),
        "alarm": (37, None),
        "timer_create": (222, 107),
    },
    "the machine itself: modules, clocks, swap, ports; root's alone anyway": {
        "init_module": (175, 105),
        "delete_module": (176, 106),
        "finit_module": (313, 273),
        "kexec_load": (246, 104),
        "kexec_file_load": (320, 294),
        "reboot": (169, 142),
        "swapon": (167, 224),
        "swapoff": (168, 225),
        "acct": (163, 89),
        "quotactl": (179, 60),
        "quotactl_fd": (443, 443),
        "syslog": (103, 116),
        "settimeofday": (164, 170),
        "clock_settime": (227, 112),
        "adjtimex": (159, 171),
        "clock_adjtime": (305, 266),
        "iopl": (172, None),
        "ioperm": (173, None),
    },
}
DENIED_IN_COMPANY: dict[str, Numbers] = {
    "what outlives a candidate where it has no IPC namespace": {
        "shmget": (29, 194),
        "semget": (64, 190),
        "msgget": (68, 186),
        "mq_open": (240, 180),
    },
    "other processes of the same user, where it has no PID namespace": {
        "pidfd_send_signal": (424, 424),
        "setpriority": (141, 140),
        "ioprio_set": (251, 30),
    },
}
"""Denied as well where a candidate shares PIDs and IPC with others."""
ITSELF_ALONE_IN_COMPANY: Numbers = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
"""There their first argument may name the candidate's own process, and no other: not the judge, whose clock it is that
counts, and not the process of the reference, which a candidate could slow down."""
_SOCKET, _CONNECT, _CLONE, _CLONE3 = (41, 198), (42, 203), (56, 220), (435, 435)
_FAMILIES = (1,)
"""Sockets of this machine (CUDA makes one). Not netlink: NCCL asks it for network cards, and there are none here."""
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW*: mount, cgroup, UTS, IPC, user, PID and network namespaces."""

# --- the assembler ----------------------------------------------------------------------------------------------------

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16
"""Places in `struct seccomp_data`; of an argument the lower half, which is all that the calls above look at."""
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _ECONNREFUSED = 1, 38, 111
_X32 = 0x40000000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the table, and AUDIT_ARCH_*, by the machine's name."""


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps are counts of instructions left out."""
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _refuse(error: int = _EPERM) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _when(number: int | None, *then: bytes) -> bytes:
    """What is done with one system call; nothing where it doesn't exist. `then` has to end in a return."""
    return b"" if number is None else _step(_EQUAL, number, 0, len(then)) + b"".join(then)


def _only(number: int | None, *values: int) -> bytes:
    """Refuse a system call unless its first argument is one of these values."""
    last = len(values) - 1
    compared = (_step(_EQUAL, value, last - place, int(place == last)) for place, value in enumerate(values))
    return _when(number, _step(_LOAD, _AT_FIRST_ARGUMENT), *compared, _step(_RETURN, _ALLOW), _refuse())


def program(machine: str, company_of: int | None) -> bytes:
    """The filter. `company_of` is the candidate's PID where it shares PIDs and IPC with other processes, else None."""
    column, architecture = _ARCHITECTURES[machine]
    steps = [
        _step(_LOAD, _AT_ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _refuse(),  # 32-bit calls have numbers of their own
        _step(_LOAD, _AT_NUMBER),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _refuse(_ENOSYS)]
    denied = [*DENIED.values(), *(DENIED_IN_COMPANY.values() if company_of is not None else ())]
    steps += [_when(numbers[column], _refuse()) for group in denied for numbers in group.values()]
    steps += [
        _only(_SOCKET[column], *_FAMILIES),
        _when(_CONNECT[column], _refuse(_ECONNREFUSED)),  # services of others, as below /run: nobody is there
        _when(
            _CLONE[column],
            _step(_LOAD, _AT_FIRST_ARGUMENT),
            _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
            _refuse(),
            _step(_RETURN, _ALLOW),
        ),
        _when(_CLONE3[column], _refuse(_ENOSYS)),  # its flags are behind a pointer; glibc then takes clone
    ]
    if company_of is not None:
        numbers = (each[column] for each in ITSELF_ALONE_IN_COMPANY.values())
        steps += [_only(number, 0, company_of, -company_of) for number in numbers]
    return b"".join((*steps, _step(_RETURN, _ALLOW)))


# --- putting it up ----------------------------------------------------------------------------------------------------

_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _TSYNC, _SPEC_ALLOW = 1, 1, 4
"""All threads; and without the slow path for speculation that older kernels add, so that times stay what they were."""


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def install(*, company: bool) -> None:
    """Put the filter up in this process, for good. Needs `no_new_privs`. Raises OSError where the kernel has none.

    `company`: the process shares PIDs and IPC with others.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(_ENOSYS, f"no table of system calls for {machine}")
    steps = program(machine, os.getpid() if company else None)
    told = _Program(len(steps) // 8, steps)
    if _libc.syscall(_SYS_SECCOMP[machine], _SET_MODE_FILTER, _TSYNC | _SPEC_ALLOW, ctypes.byref(told)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")
