"""What candidates try beyond their walls: a piece of code each, and the levels that stop it.

The code runs in a candidate's process with `ASKED`, `libc` and `call(name, …)` (a system call; raises OSError) at hand,
and must set `result` to something true exactly if it got what it wanted. `left` runs in the next candidate: does that
one see anything of it? `{token}` is a name that nobody else uses.
"""

from __future__ import annotations

from dataclasses import dataclass

ALWAYS = ("process",)
BY_FILTER = ("+seccomp",)
BY_FOLDERS = ("user-namespaces", "+landlock")
BY_COVERS = ("user-namespaces", "bubblewrap", "+landlock")
BY_NUMBER = ("user-namespaces", "+seccomp")
BY_NETWORK = ("user-namespaces", "bubblewrap", "+landlock", "+seccomp")


@dataclass(frozen=True)
class Trespass:
    """One thing that a candidate tries."""

    name: str
    stopped: tuple[str, ...]
    """Levels from which on it is stopped, or `+` and a wall that stops it on any level; on others it is open, as
    `harness.sandbox.isolation` says."""
    does: str
    left: str = ""


TRESPASSES = (
    Trespass(
        "leaves a file in /tmp",
        BY_FOLDERS,
        "open('/tmp/{token}', 'w').write('x')\nresult = False",
        "result = os.path.exists('/tmp/{token}')",
    ),
    Trespass(
        "leaves a file in /var/tmp",
        BY_FOLDERS,
        "open('/var/tmp/{token}', 'w').write('x')\nresult = False",
        "result = os.path.exists('/var/tmp/{token}')",
    ),
    Trespass(
        "leaves a file in /dev/shm",
        BY_FOLDERS,
        "open('/dev/shm/{token}', 'w').write('x')\nresult = False",
        "result = os.path.exists('/dev/shm/{token}')",
    ),
    Trespass(
        "leaves files in its scratch folder",
        ALWAYS,
        "os.makedirs('deep/' * 400)\nopen('deep/mark', 'w').close()\nos.chmod('deep/deep', 0)\n"
        "os.symlink('/', 'root')\nresult = False",
        "import glob\nresult = [e for e in glob.glob('/tmp/candidate-*/deep') + glob.glob('deep') if mine(e)]",
    ),
    Trespass(
        "leaves a named semaphore",
        BY_FOLDERS,
        "libc.sem_open.restype = ctypes.c_void_p\nlibc.sem_open(b'/{token}', os.O_CREAT, 0o666, 1)\nresult = False",
        "libc.sem_open.restype = ctypes.c_void_p\nresult = libc.sem_open(b'/{token}', 0)",
    ),
    Trespass(
        "leaves System V shared memory",
        BY_NUMBER,
        "call('shmget', ASKED['key'], 4096, 0o1666)\nresult = False",
        "result = call('shmget', ASKED['key'], 0, 0) >= 0",
    ),
    Trespass(
        "leaves a System V semaphore",
        BY_NUMBER,
        "call('semget', ASKED['key'], 1, 0o1666)\nresult = False",
        "result = call('semget', ASKED['key'], 0, 0) >= 0",
    ),
    Trespass(
        "leaves a message queue",
        BY_NUMBER,
        "call('mq_open', b'{token}', os.O_CREAT | os.O_RDWR, 0o666, None)\nresult = False",
        "result = call('mq_open', b'{token}', os.O_RDWR, 0, None) >= 0",
    ),
    Trespass(
        "leaves changed limits",
        ALWAYS,
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nos.umask(0o777)\nos.nice(5)\nresult = False",
        "nice = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "result = resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 1024 or os.umask(0) == 0o777 or nice >= 5",
    ),
    Trespass(
        "raises its own limits",
        ALWAYS,
        "limit = resource.getrlimit(resource.RLIMIT_DATA)[1]\n"
        "try:\n    resource.setrlimit(resource.RLIMIT_DATA, (limit * 2, limit * 2))\n    result = True\n"
        "except ValueError:\n    result = False",
    ),
    Trespass("signals the judge", BY_NETWORK, "os.kill(ASKED['judge'], 0)\nresult = True"),
    Trespass("signals the warm parent", BY_NUMBER, "result = any_of(lambda pid: os.kill(pid, signal.SIGCONT))"),
    Trespass(
        "signals the warm parent through a file",
        BY_NUMBER,
        "result = any_of(lambda pid: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGCONT))",
    ),
    Trespass("signals everybody", BY_NUMBER, "result = any_of(lambda pid: os.kill(-1, 0), only=1)"),
    Trespass(
        "traces its parent",
        (*BY_NUMBER, "+landlock"),
        "result = any_of(lambda pid: (call('ptrace', 0x4206, pid, 0, 0), call('ptrace', 17, pid, 0, 0)))",
    ),
    Trespass(
        "opens the memory of its parent",
        BY_FOLDERS,
        "result = any_of(lambda pid: open(f'/proc/{{pid}}/mem', 'rb').close())",
    ),
    Trespass(
        "reads the environment of its parent",
        BY_FOLDERS,
        "result = any_of(lambda pid: open(f'/proc/{{pid}}/environ', 'rb').close())",
    ),
    Trespass(
        "reads memory of its parent by a call",
        (*BY_NUMBER, "+landlock"),
        "import struct\nhere = ctypes.create_string_buffer(8)\n"
        "local, remote = struct.pack('PN', ctypes.addressof(here), 8), struct.pack('PN', id(None), 8)\n"
        "result = any_of(lambda pid: call('process_vm_readv', pid, local, 1, remote, 1, 0))",
    ),
    Trespass(
        "pins its parent to one processor",
        BY_NUMBER,
        "result = any_of(lambda pid: os.sched_setaffinity(pid, {{0, 1}}))",
    ),
    Trespass(
        "limits its parent",
        BY_NUMBER,
        "result = any_of(lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)))",
    ),
    Trespass(
        "writes in a kept folder",
        BY_COVERS,
        "open(os.path.join(ASKED['kept'], '{token}'), 'w').close()\nresult = True",
        "result = os.path.exists(os.path.join(ASKED['kept'], '{token}'))",
    ),
    Trespass(
        "truncates a kept file", BY_COVERS, "os.truncate(os.path.join(ASKED['kept'], 'library'), 0)\nresult = True"
    ),
    Trespass("reads a hidden file", BY_COVERS, "result = open(ASKED['secret']).read()"),
    Trespass("lists a hidden folder", BY_COVERS, "result = 'secret' in os.listdir(os.path.dirname(ASKED['secret']))"),
    Trespass("reads the suites", BY_COVERS, "result = os.listdir(ASKED['suites'])"),
    Trespass("reads the harness", BY_FOLDERS, "result = os.listdir(ASKED['harness'])"),
    Trespass(
        "reads another candidate's files",
        BY_FOLDERS,
        "import glob\nresult = [open(e).read() for e in glob.glob('/tmp/candidate-*/candidate.py') if not mine(e)]",
    ),
    Trespass("connects to TCP", BY_NETWORK, "socket.create_connection(('127.0.0.1', ASKED['port']), 2)\nresult = True"),
    Trespass(
        "connects to an abstract socket",
        BY_NETWORK,
        "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0{token}')\nresult = True",
    ),
    Trespass(
        "connects to a hidden socket",
        ("user-namespaces", "bubblewrap", "+seccomp"),
        "s = socket.socket(socket.AF_UNIX)\ns.connect(ASKED['socket'])\nresult = True",
    ),
    Trespass("opens a network socket", BY_FILTER, "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nresult = True"),
    Trespass(
        "opens a netlink socket", BY_FILTER, "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nresult = True"
    ),
    Trespass("mounts", ALWAYS, "libc.mount(b'tmpfs', b'.', b'tmpfs', 0, None) == 0 or oops()\nresult = True"),
    Trespass("changes its root", ALWAYS, "os.chroot('.')\nresult = True"),
    Trespass("unshares a user namespace", BY_FILTER, "call('unshare', 0x10000000)\nresult = True"),
    Trespass(
        "forks into a user namespace",
        BY_FILTER,
        "pid = call('clone', 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)\npid or os._exit(0)\nresult = True",
    ),
    Trespass("uses io_uring", BY_FILTER, "call('io_uring_setup', 4, ctypes.create_string_buffer(120))\nresult = True"),
    Trespass("uses userfaultfd", BY_FILTER, "call('userfaultfd', 1)\nresult = True"),
    Trespass("loads bpf", BY_FILTER, "call('bpf', 0, ctypes.create_string_buffer(bpf_map), 20)\nresult = True"),
    Trespass("uses a keyring", BY_FILTER, "call('keyctl', 0, -3, 1)\nresult = True"),
    Trespass(
        "counts events of the processor",
        BY_FILTER,
        "call('perf_event_open', ctypes.create_string_buffer(b'\\1\\0\\0\\0\\x70', 128), 0, -1, -1, 0)\nresult = True",
    ),
)
BACKGROUND = (
    "import time\n"
    "for session in (False, True):\n"
    "    if os.fork() == 0:\n"
    "        session and os.setsid()\n"
    "        libc.prctl(15, b'{comm}', 0, 0, 0)\n"
    "        for number in range(1, 65):\n"
    "            number not in (9, 19, 32, 33) and signal.signal(number, signal.SIG_IGN)\n"
    "        if os.fork() == 0:\n"
    "            time.sleep(60)\n"
    "        os._exit(0)\n"
    "result = False"
)
"""Leaves background processes, which `harness.sandbox.warden` has to find whatever group or session they are in."""
MEMORY = (
    "import time\n"
    "for number in range(6):\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        os.fork() and os._exit(0)\n"
    "        full = bytearray(200 << 20)\n"
    "        full[::4096] = bytes([1]) * len(full[::4096])\n"
    "        time.sleep(5)\n"
    "time.sleep(5)\nresult = True"
)
"""Takes more than twice 512 MiB in processes that take less each, none of them its own child any more."""
HONEST = (
    "import mmap, shutil, subprocess, threading\n"
    "open('one.c', 'w').write('int one(void) {{ return 1; }}')\n"
    "subprocess.run([shutil.which('cc') or 'gcc', '-shared', '-fPIC', 'one.c', '-o', 'one.so'], check=True)\n"
    "one = ctypes.CDLL(os.path.abspath('one.so')).one()\n"
    "os.ftruncate(os.memfd_create('x'), 4096)\n"
    "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()\n"
    "thread = threading.Thread(target=lambda: None)\nthread.start()\nthread.join()\n"
    "a, b = socket.socketpair()\na.send(b'x')\n"
    "os.sched_setaffinity(0, os.sched_getaffinity(0))\n"
    "os.kill(os.getpid(), 0)\nopen('/proc/self/maps').read()\nopen('/proc/cpuinfo').read()\n"
    "open('/dev/null', 'w').write('x')\nopen('/dev/urandom', 'rb').read(8)\n"
    "result = one == 1 and b.recv(1) == b'x'"
)
"""What the libraries of an honest kernel may do, and what every level must let pass."""
