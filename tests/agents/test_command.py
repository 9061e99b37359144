"""`command`: real programs in a real folder, asking a real server; killed with all that they start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scripted import TASK, events, eventually, kernel, make_bench, right, wrong

from agents.command import CommandSolver
from agents.command.folder import kernel_template
from agents.command.process import SUPERVISE
from harness.attempt import view
from harness.errors import ModelTrouble, UsageError
from harness.solver import Budget
from tests.harness.commands import NO_CACHE, TOY, Warm

ROOT = Path(__file__).parents[2]
VERDICTS = {"a": wrong(reason="output 0 differs at [3]"), "b": right(1.5), "c": right(0.7)}
PRELUDE = """
import json, os, subprocess, sys, time
from pathlib import Path
def write(tag): Path("kernel.py").write_text(f"def scale(x):\\n    return {tag!r}\\n")
def evaluate(*words): return subprocess.run(["./evaluate", *words], capture_output=True, text=True)
def note(**told): Path(os.environ["NOTES"]).write_text(json.dumps(told))
"""


class Played:
    """What came of one program's attempt."""

    def __init__(self, folder, program, judge=None, budget=None, **options):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "agent.py").write_text(PRELUDE + program)
        options = {"seconds": 30.0, **options, "environment": "+".join(["NOTES", options.get("environment", "")])}
        self.solver = CommandSolver(run=f"'{sys.executable}' '{folder}/agent.py'", **options)
        self.bench = make_bench(folder, judge=judge, verdicts=VERDICTS, budget=budget or Budget())
        self.scratch = self.bench.scratch
        notes = folder / "notes.json"
        os.environ["NOTES"] = str(notes)
        started = time.monotonic()
        try:
            self.solver.check([TASK], samples=1)
            self.solution = self.solver.solve(TASK, self.bench)
        finally:
            self.seconds = time.monotonic() - started
            self.bench.close()
            del os.environ["NOTES"]
        self.notes = json.loads(notes.read_text()) if notes.exists() else {}
        [self.ended] = events(folder, "command ended")
        self.reasons = [event["reason"] for event in events(folder, "no code")]


def processes(*marks):
    """Living processes whose command line has these words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if {mark.encode() for mark in marks} <= set(words) and state != "Z":
            found.append(int(entry.name))
    return found


IMPROVES = """
write("a"); first = evaluate()
write("b"); second = evaluate()
Path("other.py").write_text(Path("kernel.py").read_text().replace("b", "c"))
third = evaluate("other.py", "--json")
left = evaluate("--left")
note(codes=[each.returncode for each in (first, second, third, left)], first=first.stdout, second=second.stdout,
     third=json.loads(third.stdout), left=left.stdout)
print("I am done.")
sys.exit(3)
"""


def test_a_program_that_evaluates_and_improves(tmp_path):
    played = Played(tmp_path, IMPROVES, budget=Budget(evaluations=5))
    assert played.notes["codes"] == [1, 0, 0, 0]
    assert "WRONG: wrong values" in played.notes["first"] and "differs at [3]" in played.notes["first"]
    assert "RIGHT: right" in played.notes["second"] and "speedup 1.500" in played.notes["second"]
    assert "n=4: 66.7 µs, the expert's 100.0 µs" in played.notes["second"]
    assert "left: 3 evaluations" in played.notes["second"] and "left: 2 evaluations" in played.notes["left"]
    told = played.notes["third"]
    assert told["feedback"]["right"] and told["feedback"]["evaluation"] == 3 and told["left"]["evaluations"] == 2
    assert not {"seed", "seeds"} & set(told["feedback"])
    assert played.solution.source == kernel("b"), "what stands in kernel.py, whatever was evaluated"
    assert played.bench.evaluations == 3 and "exit code 3, 3 evaluations" in played.solution.origin
    assert played.ended["code"] == 3 and played.ended["output"] == "I am done.\n" and played.ended["seconds"] > 0
    assert not played.scratch.exists()


def test_what_the_folder_holds(tmp_path):
    program = """
note(files={path.name: path.read_text() for path in Path(".").iterdir()}, executable=os.access("evaluate", os.X_OK))
"""
    played = Played(tmp_path, program, evaluations=7)
    files = played.notes["files"]
    assert set(files) == {"instruction.md", "README.md", "kernel.py", "evaluate", ".judge"}
    for part in ("Double every element.", TASK.signature, TASK.outputs, "scale_alias", "interpreter", "elementwise"):
        assert part in files["instruction.md"]
    assert "7 evaluations and 30 seconds" in files["README.md"] and "$" not in files["README.md"]
    assert "raise NotImplementedError" in files["kernel.py"] and "import triton.language as tl" in files["kernel.py"]
    compile(files["kernel.py"], "kernel.py", "exec")
    assert "harness" not in files["evaluate"].partition('"""')[0] and "import harness" not in files["evaluate"]
    assert played.notes["executable"]


NOTHING = {
    "unchanged": ("pass", "left as it was given"),
    "removed": ("os.unlink('kernel.py')", "No such file"),
    "empty": ("Path('kernel.py').write_text(' ')", "empty"),
    "a link": ("os.unlink('kernel.py'); os.symlink('/etc/hostname', 'kernel.py')", "can't be read"),
    "a pipe": ("os.unlink('kernel.py'); os.mkfifo('kernel.py')", "no plain file"),
    "a folder": ("os.unlink('kernel.py'); os.mkdir('kernel.py')", "no plain file"),
    "too long": ("Path('kernel.py').write_text('#' * 1_000_001)", "1000001 bytes"),
    "not text": ("Path('kernel.py').write_bytes(b'\\xff')", "no UTF-8"),
}


@pytest.mark.parametrize("what", NOTHING)
def test_no_kernel_is_no_solution_with_a_reason(tmp_path, what):
    program, reason = NOTHING[what]
    played = Played(tmp_path, program)
    assert played.solution is None and reason in played.reasons[0]


def test_a_program_that_never_evaluates_hands_in_what_it_wrote(tmp_path):
    played = Played(tmp_path, "write('z')")
    assert played.solution.source == kernel("z") and played.bench.evaluations == 0


def test_the_time_limit_ends_it_and_what_stands_is_graded(tmp_path):
    program = f"write('b'); subprocess.Popen(['sleep', '1001.{os.getpid()}'])\nwhile True: time.sleep(0.01)"
    played = Played(tmp_path, program, seconds=1.5)
    assert 1.5 <= played.seconds < 10 and played.solution.source == kernel("b")
    assert "stopped after 1.5 seconds" in played.solution.origin and played.ended["code"] is None
    assert processes(f"1001.{os.getpid()}") == []


def test_the_attempts_own_budget_of_time_counts_too(tmp_path):
    played = Played(tmp_path, "time.sleep(60)", budget=Budget(seconds=0.5))
    assert played.seconds < 10 and "stopped after 0." in played.ended["how"]


def test_what_runs_in_the_background_is_ended_with_the_program(tmp_path):
    """A child in the group, and a grandchild in a session of its own that the program no longer knows."""
    mark = f"1002.{os.getpid()}"
    program = f"""
subprocess.Popen(["sleep", "{mark}"])
subprocess.run([sys.executable, "-c",
    "import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)"])
write("b")
note(living=int(subprocess.run("grep -l {mark} /proc/[0-9]*/cmdline | wc -l", shell=True, capture_output=True).stdout))
"""
    played = Played(tmp_path, program)
    assert played.notes["living"] >= 2, "they were there"
    assert processes(mark) == [] and played.ended["code"] == 0 and played.seconds < 15


HOST = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from scripted import TASK, make_bench
from agents.command import CommandSolver
bench = make_bench(Path(sys.argv[1]))
CommandSolver(run=f"{{sys.executable}} {{sys.argv[2]}}", seconds=300).solve(TASK, bench)
"""


@pytest.mark.parametrize("killed", ["the solver's process", "the supervisor"])
def test_the_program_dies_with_the_process_that_started_it(tmp_path, killed):
    mark = f"100{len(killed)}.{os.getpid()}"
    apart = killed == "the solver's process"  # of a killed supervisor's own dead only the program itself is sure
    (tmp_path / "agent.py").write_text(
        "import os, subprocess, sys\n"
        + (f"subprocess.Popen(['sleep', '{mark}'], start_new_session=True)\n" if apart else "")
        + f"os.execvp('sleep', ['sleep', '{mark}'])\n"
    )
    supervising = str(SUPERVISE), str(tmp_path / "agent.py")
    code = HOST.format(path=[str(ROOT), str(ROOT / "tests" / "agents")])
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # what it can't remove any more is left there
    host = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(tmp_path / "agent.py")], env=environment)
    try:
        eventually(lambda: len(processes(mark)) == (2 if apart else 1), 60.0)
        [supervisor] = processes(*supervising)
        os.kill(host.pid if apart else supervisor, signal.SIGKILL)
        eventually(lambda: processes(mark) == [] and processes(*supervising) == [])
    finally:
        host.kill()
        host.wait()


def test_a_wrong_token_is_refused(tmp_path):
    program = """
write("a")
judge = json.loads(Path(".judge").read_text())
Path(".judge").write_text(json.dumps({**judge, "token": judge["token"][:-1] + "!"}))
done = evaluate()
left = evaluate("--left")
note(code=done.returncode, error=done.stderr, left=left.returncode)
"""
    played = Played(tmp_path, program)
    assert played.notes["code"] == 2 and "wrong token" in played.notes["error"] and played.notes["left"] == 2
    assert played.bench.evaluations == 0


@pytest.mark.parametrize("own", [True, False])
def test_a_spent_budget_is_said_and_the_program_goes_on(tmp_path, own):
    program = """
write("b"); codes = [evaluate().returncode]
write("a"); done = evaluate("--json")
write("c")
note(codes=[*codes, done.returncode], error=done.stderr, left=json.loads(done.stdout)["left"]["evaluations"])
"""
    options = {"evaluations": 1} if own else {"budget": Budget(evaluations=1)}
    played = Played(tmp_path, program, **options)
    assert played.notes["codes"] == [0, 2] and played.notes["left"] == 0
    assert "the budget is spent (evaluations)" in played.notes["error"]
    assert played.bench.evaluations == 1 and played.solution.source == kernel("c")
    assert played.bench.spent == ("" if own else "evaluations")


def test_the_environment_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    monkeypatch.setenv("MY_AGENT_KEY", "sk-for-the-agent")
    program = "note(**os.environ); print('my key is', os.environ['MY_AGENT_KEY'])"
    played = Played(tmp_path, program, environment="MY_AGENT_KEY")
    given = set(played.notes) - {"LC_CTYPE"}  # Python itself sets this one
    assert given == {"PATH", "LANG", "HOME", "TMPDIR", "TERM", "NOTES", "MY_AGENT_KEY"}
    assert played.notes["MY_AGENT_KEY"] == "sk-for-the-agent" and played.notes["PATH"] == os.environ["PATH"]
    assert Path(played.notes["HOME"]).parent == played.scratch
    assert "sk-" not in (tmp_path / "transcript.jsonl").read_text()
    assert "my key is [MY_AGENT_KEY]" in played.ended["output"]


def test_only_the_last_of_the_output_is_kept(tmp_path):
    played = Played(
        tmp_path, "print('begin', flush=True); print('x' * 3_000_000, flush=True); print('end', file=sys.stderr)"
    )
    assert len(played.ended["output"]) == 20_000 and played.ended["output"].endswith("end\n")


def test_trouble_of_the_machine_is_not_swallowed(tmp_path):
    """It costs the attempt a try, as for any solver; the program is ended."""
    mark = f"1003.{os.getpid()}"

    def judge(source):
        raise ModelTrouble("the judge is gone")

    with pytest.raises(ModelTrouble):
        Played(tmp_path, f"write('a'); subprocess.Popen(['sleep', '{mark}']); evaluate(); time.sleep(60)", judge)
    assert processes(mark) == []


def test_evaluations_of_several_at_once_are_all_answered(tmp_path):
    program = """
write("b")
many = [subprocess.Popen(["./evaluate", "--json"], stdout=subprocess.PIPE) for _ in range(6)]
note(numbers=sorted(json.loads(each.communicate()[0])["feedback"]["evaluation"] for each in many))
"""
    threads = set()

    def judge(source):
        threads.add(threading.get_ident())
        return right(1.0)

    played = Played(tmp_path, program, judge)
    assert played.notes["numbers"] == [1, 2, 3, 4, 5, 6]
    assert threads == {threading.get_ident()}, "judged from the solver's own thread"


def test_resumed_it_is_run_again_and_nothing_is_judged_twice(tmp_path):
    first = Played(tmp_path, IMPROVES)
    again = Played(tmp_path, IMPROVES, judge=lambda source: pytest.fail("judged twice"))
    assert again.solution == first.solution and again.bench.evaluations == 3
    assert again.notes["third"]["feedback"] == first.notes["third"]["feedback"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name the program"),
        ({"run": "no-such-agent --yes"}, "'no-such-agent' is not there"),
        ({"run": "./no/agent"}, "'./no/agent' is not there"),
        ({"run": str(Path(__file__))}, "is not executable"),
        ({"run": "sh 'oh"}, "quote it"),
        ({"run": "sh", "environment": "PATH+NOT_SET_HERE"}, "NOT_SET_HERE is not set"),
    ],
)
def test_what_can_be_known_before_is_said_before(options, words):
    with pytest.raises(UsageError, match=words):
        CommandSolver(**options).check([TASK])


@pytest.mark.parametrize("options", [{"seconds": 0.0}, {"evaluations": -1}])
def test_options_are_checked(options):
    with pytest.raises(UsageError):
        CommandSolver(run="sh", **options)


def test_files_are_meant_where_pytest_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("agent.sh", "README.md"):
        (tmp_path / name).touch(mode=0o755)
    words = CommandSolver(run="./agent.sh agent.sh README.md 'a b'").words
    assert words == (f"{tmp_path}/agent.sh", f"{tmp_path}/agent.sh", "README.md", "a b")


SHELL = """#!/bin/sh
# Writes a wrong kernel, is told so, and writes the right one.
set -u
header='import torch, triton, triton.language as tl
@triton.jit
def _kernel(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, FACTOR * tl.load(x + at, mask=at < n), mask=at < n)
def doubled(x):
    y = torch.empty_like(x)
    _kernel[(triton.cdiv(x.numel(), 512),)](x, y, x.numel(), BLOCK=512)
    return y'
for factor in 3 2; do
    printf '%s\\n' "$header" | sed "s/FACTOR/$factor/" > kernel.py
    if ./evaluate; then exit 0; fi
done
exit 1
"""


def test_a_shell_script_and_the_real_judge(tmp_path, judge, doubled):
    (tmp_path / "agent.sh").write_text(SHELL)
    (tmp_path / "agent.sh").chmod(0o755)
    bench = make_bench(tmp_path, judge=lambda source: judge.judge(doubled, source))
    solution = CommandSolver(run=str(tmp_path / "agent.sh"), seconds=120).solve(view(doubled, judge.device), bench)
    verdict = bench.grade(solution)
    bench.close()
    assert verdict.right and "2 * tl.load" in solution.source
    assert [event["outcome"] for event in events(tmp_path, "evaluation")] == ["wrong values", "right"]
    assert "speedup" in events(tmp_path, "command ended")[0]["output"]


def test_from_the_command_line(tmp_path):
    """As a person runs it, from the folder in which the agent lies: by its name, with options, to the record."""
    (tmp_path / "agent.sh").write_text(SHELL)
    server = Warm()
    try:
        asked = ("--run-dir=run", "-v", *NO_CACHE)
        ran = server.pytest(TOY, "--solver=command:run=sh agent.sh,seconds=120", *asked, cwd=tmp_path)
        refused = server.pytest(TOY, "--solver=command:run=agent.sh", *asked, cwd=tmp_path)
    finally:
        server.close()
    assert ran.code == 0, ran.text
    row = json.loads((tmp_path / "run" / "results.jsonl").read_text())
    assert row["attempt"]["solver"] == "command:run=sh agent.sh,seconds=120" and row["attempt"]["model"] == ""
    assert row["origin"] == "sh: exit code 0, 2 evaluations" and row["spent"]["evaluations"] == 2
    assert row["spent"]["dollars"] is None and row["spent"]["prompt_tokens"] is None, (
        "what it asks of models is unknown"
    )
    assert refused.code == 4 and "command: the program 'agent.sh' is not executable" in refused.text


def test_the_template_is_what_is_left_unchanged():
    assert kernel_template(TASK).count("def scale(x: torch.Tensor) -> torch.Tensor:") == 1
