"""The pytest plug-in: suites become collections, attempts become tests.

A suite's test module has three functions that take the fixture `attempt`; each attempt gives three tests, in order.
The first of them runs the attempt, the others read its record: pytest's own counts are the benchmark's counts.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import registry, summary_file
from harness.attempt_record import AttemptRecord, RecordedTimer
from harness.benchmarks import NAME as BENCHMARKS
from harness.benchmarks import DeviceGuard
from harness.errors import InfrastructureError, KernelAssayError, UsageError
from harness.gate import Gate
from harness.options import Options
from harness.progress_line import ProgressLine
from harness.run import Attempt
from harness.sandbox.isolation import die_with_parent

if TYPE_CHECKING:
    from harness.session import Session

_session: pytest.StashKey[Session] = pytest.StashKey()
_folder: pytest.StashKey[Path] = pytest.StashKey()
_gate: pytest.StashKey[Gate] = pytest.StashKey()

_OPTIONS: tuple[tuple[str, Any, str, str], ...] = (
    (
        "--solver",
        list,
        "SPEC",
        "who writes the kernels: NAME, NAME:KEY=VALUE,…, MODULE:ATTR or FILE.py:NAME; repeatable",
    ),
    (
        "--suite",
        list,
        "NAME",
        "a suite by its name, where the path is not known: the same as giving its folder; repeatable",
    ),
    ("--model", str, "NAME", "the language model: a name that the server at --base-url knows, or `offline`"),
    ("--base-url", str, "URL", "address of an OpenAI-compatible server (the key comes from OPENAI_API_KEY)"),
    ("--model-option", list, "KEY=VALUE", "an option of the model (temperature=0.7, max_tokens=8192, …); repeatable"),
    (
        "--model-profile",
        str,
        "FILE|NAME",
        "what is particular to a model (address, names of parameters, prices, …): a TOML file, or one that is shipped",
    ),
    (
        "--model-cache",
        str,
        "MODE",
        "auto (keep answers and take those that are kept), off, refresh (ask anew), replay (no network at all)",
    ),
    ("--model-cache-file", Path, "FILE", "where model calls are kept; names the cache, so that the mode is auto"),
    ("--samples", int, "N", "independent attempts at each task (1)"),
    ("--iterations", int, "N", "turns of a solver that works in turns"),
    ("--early-stop-threshold", float, "X", "a solver that works in turns stops at this speedup (never)"),
    ("--concurrency", int, "N", "attempts that run at once, for models that take their time (1)"),
    ("--judges", int, "N", "judges that these attempts share, each a process (a few, by device and processors)"),
    ("--compile-cache", str, "DIR", "where what Triton compiles on a GPU is kept from run to run, or off"),
    ("--device", str, "DEVICE", "auto (a GPU if there is one), cuda, cuda:N, hip, hip:N, interpreter"),
    (
        "--devices",
        str,
        "LIST",
        "several GPUs of one kind: all, or cuda:0,cuda:1; --judges on each",
    ),
    ("--engine", str, "ENGINE", "where candidates are judged: local (this machine), or ray (a Ray cluster)"),
    ("--ray-address", str, "ADDRESS", "of the cluster's head (the one that runs on this machine)"),
    ("--ray-accelerator", str, "TYPE", "kind of GPU in the cluster, as Ray names it: H200 (that of the first judge)"),
    ("--ray-solve", bool, "", "solvers work on the cluster's nodes, too; models are asked from here"),
    ("--run-dir", Path, "DIR", "where to record the run (runs/<time>-…)"),
    ("--resume", Path, "RUN", "go on with a run that was stopped"),
    ("--seed", int, "N", "make inputs repeatable (they are fresh and secret otherwise)"),
    ("--predictions", Path, "FILE|DIR", "answers to judge, for the solver replay"),
    ("--extractor", str, "NAME", "how replay gets code out of published answers: faithful (default) or paper"),
    ("--max-evaluations", int, "N", "judgements that an attempt may ask for"),
    ("--max-tokens", int, "N", "tokens that an attempt may use"),
    ("--max-dollars", float, "X", "dollars that an attempt may cost"),
    ("--max-seconds", float, "S", "wall time that an attempt may take"),
    ("--stage-timeout", float, "S", "wall time for all calls of one stage of a judgement (120)"),
    ("--call-timeout", float, "S", "wall time for one of them, in which Triton may compile (60)"),
    ("--timing-timeout", float, "S", "wall time for one block of timed calls; nothing compiles there any more (20)"),
    ("--memory-limit", float, "GIB", "memory of a candidate's process (8)"),
    ("--isolation", str, "LEVEL", "refuse to run below this level of isolation: strict, namespaces, landlock, …"),
    (
        "--unguarded",
        bool,
        "",
        "no isolation, and nobody looks for cheating: to measure what these cost, on kernels that you trust",
    ),
    (
        "--sanitizer",
        bool,
        "",
        "call right kernels under compute-sanitizer, too: it finds reads out of bounds (NVIDIA)",
    ),
    ("--no-timing", bool, "", "call and execution alone: who is right in the checks is not timed"),
    ("--timing-width", float, "X", "stop timing when the speedup's interval is ± this share (0.01)"),
    ("--timing-processes", int, "N", "time short workloads in up to N pairs of processes: they differ (1)"),
    ("--timed-workloads", int, "N", "time so many of each task's workloads, spread over them (all)"),
    ("--summary", Path, "FILE", "append a short page in Markdown to FILE, for CI: --summary=$GITHUB_STEP_SUMMARY"),
    ("--checkout", list, "PATH", "a checkout of a published suite, for suites/published (may be given again)"),
    (
        "--baseline",
        Path,
        "RUN",
        "compare with an earlier run: exit code 1 says that a regression is shown, wrong kernels alone fail nothing",
    ),
    ("--baseline-threshold", float, "X", "the largest loss that does not matter: 0.02 is 2 points, or ×0.98 (0)"),
    ("--baseline-confidence", float, "X", "with which a regression must be shown (0.95)"),
    ("--doctor", bool, "", "examine the suite's tasks instead of running solvers: is every one of them sound?"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernel-assay", "Kernel Assay: judging programs that write GPU kernels")
    for flag, kind, metavar, text in _OPTIONS:
        if kind is bool:
            group.addoption(flag, action="store_true", help=text)
            continue
        how: dict[str, Any] = {"action": "append"} if kind is list else {"type": kind}
        group.addoption(flag, default=None, metavar=metavar, help=text, **how)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """`--suite NAME`: the folder that an entry point names becomes an argument of the command."""
    known = early_config.known_args_namespace
    try:
        folders = [str(registry.suite_folder(name)) for name in getattr(known, "suite", None) or ()]
    except KernelAssayError as error:
        raise pytest.UsageError(str(error)) from None
    args += folders
    known.file_or_dir += folders


def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-benchmark's, which compares saved files there."""
    worker = getattr(config, "workerinput", None)
    if checkouts := config.getoption("checkout"):
        os.environ[registry.CHECKOUTS] = os.pathsep.join(str(Path(each).absolute()) for each in checkouts)
    if worker:
        die_with_parent()  # a worker must not go on judging beside the run that continues its own
    try:
        folders = _suite_folders(config)
        page: Path | None = config.getoption("summary")
        if config.getoption("doctor"):
            if page is not None:
                raise UsageError("--summary is of judged attempts, the doctor has none: leave it out")
            from harness.doctor.collection import NAME, DoctorPlugin

            if config.getoption("baseline"):
                raise UsageError("--doctor judges no solver: leave --baseline out")
            joined = Path(worker["kernel_assay_run"]) if worker else None
            config.pluginmanager.register(DoctorPlugin(Options.read(config.getoption), folders, joined), NAME)
            return
        if not folders:
            return
        # Only now: other people's tests, where this plug-in is merely installed, should not wait for PyTorch.
        from harness.description import mark_session
        from harness.session import Session, check_writable

        by_workers = bool(worker or getattr(config.option, "tx", None))
        session = Session(Options.read(config.getoption), folders, by_workers)
        if session.options.many > 1 and by_workers:
            raise UsageError(
                "--concurrency runs attempts at once in this process, -n in several: leave -n out, and say with "
                "--judges=N how many judge at once"
            )
        folder = Path(worker["kernel_assay_run"]) if worker else session.run_folder()
        if not worker and not config.option.collectonly:
            mark_session()
            if session.options.resume is None and (folder / "run.json").exists():
                raise UsageError(f"{folder} holds a run already: continue it with --resume {folder}, or name another")
            if session.options.baseline is not None:
                digests = {(suite.name, task.name): task.digest for suite in session.suites for task in suite.tasks}
                solvers = {(a.solver, a.model): None for suite in session.suites for a in session.attempts(suite)}
                config.stash[_gate] = gate = Gate(session.options, folder, digests, list(solvers))
                config.pluginmanager.register(gate, "kernel_assay_gate")
            check_writable(folder)
            if page is not None:
                summary_file.check(page)
    except KernelAssayError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_session], config.stash[_folder] = session, folder
    config.pluginmanager.register(DeviceGuard(lambda: session.environment), BENCHMARKS)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: tell a worker where this run is recorded."""
    if _folder in node.config.stash:
        node.workerinput["kernel_assay_run"] = str(node.config.stash[_folder])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist: the three tests of an attempt go to one worker, whatever --dist says."""
    if _session not in config.stash:
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByAttempt(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module, _, test = nodeid.partition("::")
            return f"{module}[{test.partition('[')[2]}"

    return ByAttempt(config, log)


def pytest_report_header(config: pytest.Config) -> list[str]:
    session = config.stash.get(_session, None)
    if session is None:
        return []
    baseline = session.options.baseline
    return [*session.header(), *([f"baseline: {baseline}"] if baseline is not None else [])]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "attempt" not in metafunc.fixturenames or _session not in metafunc.config.stash:
        return
    session = metafunc.config.stash[_session]
    here = Path(str(metafunc.module.__file__)).resolve().parent
    suite = next((suite for suite in session.suites if suite.folder == here), None)
    if suite is None:
        return
    attempts = session.attempts(suite)
    many = (session.options.samples or 1) > 1
    ids = [f"{each.task}-{each.solver}" + (f"-{each.sample}" if many else "") for each in attempts]
    metafunc.parametrize("attempt", attempts, ids=ids, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The three tests of an attempt stand together, in the order of the stages; `-k` knows a task's aliases too."""
    session = config.stash.get(_session, None)
    first: dict[Attempt, int] = {}
    for number, item in enumerate(items):
        attempt = _attempt_of(item)
        if attempt is not None:
            first.setdefault(attempt, number)
            group = f"{attempt.suite} on {session.device.name}" if session is not None else attempt.suite
            item.add_marker(pytest.mark.benchmark(timer=RecordedTimer(), group=group))
            if session is not None:
                item.extra_keyword_matches.update(session.task(attempt).aliases)
    places = {
        id(item): (first.get(attempt, n) if (attempt := _attempt_of(item)) else n, n) for n, item in enumerate(items)
    }
    items.sort(key=lambda item: places[id(item)])


def pytest_collection_finish(session: pytest.Session) -> None:
    ours = session.config.stash.get(_session, None)
    if ours is None or session.config.option.collectonly or hasattr(session.config, "workercount"):
        return
    if session.config.pluginmanager.hasplugin("dsession"):
        return
    plan = list(dict.fromkeys(attempt for item in session.items if (attempt := _attempt_of(item))))
    if plan:
        try:
            ours.open_run(session.config.stash[_folder], plan)
        except KernelAssayError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    ours = session.config.stash.get(_session, None)
    if ours is not None:
        ours.stop()
    gate = session.config.stash.get(_gate, None)
    if gate is not None:
        session.exitstatus = gate.judge(int(session.exitstatus))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Mark a test that failed because its kernel is wrong; the mark travels with the report from xdist's workers."""
    report = yield
    attempt = getattr(item, "funcargs", {}).get("attempt")
    if report.failed and report.when == "call" and isinstance(attempt, AttemptRecord) and attempt.denied:
        report.kernel_assay_wrong = True
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    folder = config.stash.get(_folder, None)
    if folder is None or not (folder / "run.json").exists() or hasattr(config, "workerinput"):
        return
    width = terminalreporter._tw.fullwidth
    page: Path | None = config.getoption("summary")
    for name in registry.names(registry.REPORTS):
        terminalreporter.section(name)
        try:
            report = registry.find(registry.REPORTS, name)()
            terminalreporter.write_line(report.summary(folder, width))
            terminalreporter.write_line(f"report: {report.write(folder)}")
            if page is not None and hasattr(report, "page"):
                summary_file.append(page, partial(report.page, folder))
                terminalreporter.write_line(f"summary: {page}")
        except (OSError, KernelAssayError) as error:
            terminalreporter.write_line(f"no report: {error}; the record is whole: {folder}")
    gate = config.stash.get(_gate, None)
    if gate is not None:
        terminalreporter.section("baseline")
        terminalreporter.write_line(gate.told)
    session = config.stash.get(_session, None)
    for note in session.notes() if session is not None else ():
        terminalreporter.write_line(f"note: {note}")
    terminalreporter.write_line(f"run: {folder}")


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_session, None)
    if session is not None:
        session.close()


@pytest.fixture
def attempt(request: pytest.FixtureRequest) -> Iterator[AttemptRecord]:
    """The attempt of this test, run now if no test or earlier run did so. Trouble of the machine is an error here."""
    session = request.config.stash.get(_session, None)
    if session is None or not hasattr(request, "param"):
        pytest.skip("attempts need a suite and --solver: pytest suites/rocm --solver=reference")
    progress = ProgressLine(request.config, request.param if session.options.many == 1 else None)
    try:
        record = AttemptRecord(session.record(request.param, progress))
    except InfrastructureError as error:
        request.node.user_properties += [("outcome", "owed"), ("reason", str(error))]
        raise Owed(str(error)) from None
    finally:
        progress.clear()
    request.node.user_properties += record.properties()
    yield record


class Owed(Exception):
    """Trouble that is not the candidate's: pytest's ERROR."""


def _attempt_of(item: pytest.Item) -> Attempt | None:
    callspec = getattr(item, "callspec", None)
    value = callspec.params.get("attempt") if callspec is not None else None
    return value if isinstance(value, Attempt) else None


def _suite_folders(config: pytest.Config) -> list[Path]:
    """Folders with a `suite.toml` among the command's arguments; with --solver or --resume also right below them."""
    asked = any(config.getoption(flag) for flag in ("--solver", "--resume", "--doctor"))
    found: dict[Path, None] = {}
    for argument in config.args:
        path = (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        folder = path if path.is_dir() else path.parent
        below = sorted(folder.iterdir()) if asked and folder.is_dir() else ()
        for candidate in (folder, *below):
            if (candidate / "suite.toml").is_file():
                found[candidate] = None
    return list(found)
