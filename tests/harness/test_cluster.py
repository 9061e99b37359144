"""On a real Ray cluster of several nodes: judges and solvers on them, one killed, one that is unlike the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.api import Judge
from harness.device import version_of
from harness.engine.cluster import connect
from harness.errors import UsageError
from harness.verdict import Outcome
from tests.harness.commands import NO_CACHE, SOLVERS, TOY, Warm, started

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

SOON = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""That a node is lost is known after two seconds."""
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors, so that nothing is judged there, and two nodes."""
    head = {**NODE, "num_cpus": 0, "_system_config": SOON}
    made = Cluster(initialize_head=True, connect=False, head_node_args=head)
    for _ in range(2):
        made.add_node(**NODE)
    yield made
    ray.shutdown()
    made.shutdown()


def _records(run: Path) -> list[dict[str, Any]]:
    path = run / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _wait_until(there: Callable[[], bool], process: Any) -> None:
    end = time.monotonic() + 120
    while not there():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)


def _judges_below(node: Any) -> list[int]:
    """Judges' processes that a node's workers started."""
    parents, commands = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:
            continue
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for process, command in commands.items():
        above = process
        while above in parents and above != raylet:
            above = parents[above]
        if above == raylet and b"harness.engine.warming" in command:
            found.append(process)
    return found


def test_where_no_cluster_is() -> None:
    begin = time.monotonic()
    with pytest.raises(UsageError, match=r"no cluster answers at 127\.0\.0\.1:9 .*refused.*ray start --head"):
        connect("127.0.0.1:9")
    assert time.monotonic() - begin < 15


def test_from_python(cluster: Any, tmp_path: Path) -> None:
    reference = (TOY / "doubled" / "reference.py").read_text()
    with Judge(TOY, engine="ray", ray_address=cluster.address) as judge:
        assert judge.tasks()[0].name == "doubled"
        sources = [reference, reference.replace("2 *", "3 *"), "def doubled(x:", f"{reference}\n# again"]
        found = {each.number: each.verdict for each in judge.evaluate_many(("doubled", each) for each in sources)}
    connect(cluster.address)
    with pytest.raises(UsageError, match="is connected to the cluster at"):
        connect("127.0.0.1:9")
    outcomes = [found[number].outcome for number in range(4)]
    assert outcomes == [Outcome.RIGHT, Outcome.VALUES, Outcome.SYNTAX, Outcome.RIGHT]


def test_solvers_work_there_too_and_a_node_of_another_kind_is_left_out(cluster: Any, tmp_path: Path) -> None:
    """Journal, transcript, model and files are the driver's. Times of different software share no column."""
    (tmp_path / "other" / "triton-99.0.dist-info").mkdir(parents=True)
    (tmp_path / "other" / "triton-99.0.dist-info" / "METADATA").write_text("Name: triton\nVersion: 99.0\n")
    other = cluster.add_node(**NODE, env_vars={"PYTHONPATH": str(tmp_path / "other")})
    run = tmp_path / "run"
    process = started(
        TOY,
        f"--solver={SOLVERS}:Traveller:pause=4",
        f"--solver={SOLVERS}:Traveller:fail=yes",
        "--max-evaluations=10",
        "--engine=ray",
        "--ray-solve",
        f"--ray-address={cluster.address}",
        f"--run-dir={run}",
        *NO_CACHE,
        cwd=tmp_path,
    )
    text, _ = process.communicate(timeout=180)
    cluster.remove_node(other)
    assert process.returncode == 0, text
    assert "note: " in text and "is left out (interpreter, " in text
    assert ", triton 99.0)" in text or f", triton {version_of('triton')})" in text, "whichever came second"
    records = _records(run)
    assert len(records) == 2 and all(each["verdict"]["outcome"] == "right" for each in records)
    assert len({each["environment"] for each in records}) == 1
    assert [each["spent"]["evaluations"] for each in records] == [3, 3]
    assert sorted("LookupError: lost its way" in str(each.get("stopped")) for each in records) == [False, True]
    for folder in (run / "samples").iterdir():
        events = [json.loads(line) for line in (folder / "transcript.jsonl").read_text().splitlines()]
        (where,) = (each for each in events if each["event"] == "where")
        assert where["scratch"] and len(where["node"]) == 56, "Ray's name of the node on which it worked"
        assert (folder / "solver" / "answer.txt").read_text().startswith("offline: ")
        assert sum(each["event"] == "model" for each in events) == 1


def test_a_lost_nodes_attempts_run_elsewhere(cluster: Any, tmp_path: Path) -> None:
    """Both what was judged there, and the solver that worked there."""
    run, samples = tmp_path / "run", 4
    process = started(
        TOY,
        f"--solver={SOLVERS}:Sleeper:call=0.08",
        f"--samples={samples}",
        "--engine=ray",
        "--ray-solve",
        f"--ray-address={cluster.address}",
        f"--run-dir={run}",
        *NO_CACHE,
        cwd=tmp_path,
    )
    nodes = [node for node in cluster.list_all_nodes() if not node.head]
    _wait_until(lambda: _records(run) != [] and all(len(_judges_below(node)) == 1 for node in nodes), process)
    (at_work,) = _judges_below(nodes[0])
    cluster.remove_node(nodes[0], allow_graceful=False)
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0, text
    assert "engine: Ray, 2 judges for up to 2 attempts at once" in text
    assert "judgements were made again: their node was lost" in text
    records = _records(run)
    assert sorted(each["attempt"]["sample"] for each in records) == list(range(1, samples + 1))
    assert all(each["status"] == "judged" and each["verdict"]["outcome"] == "right" for each in records)
    assert not Path(f"/proc/{at_work}").exists(), "its judge ended with it"
    about = json.loads((run / "run.json").read_text())
    assert {each["environment"] for each in records} == {about["environment"]["digest"]}


def test_options_that_do_not_go_together(warm: Warm, tmp_path: Path) -> None:
    for arguments, told in (
        (("--engine=slurm",), "there are local and ray"),
        (("--ray-address=here:1",), "no meaning without --engine=ray"),
        (("--ray-solve",), "no meaning without --engine=ray"),
        (("--engine=ray", "--devices=all"), "leave it out"),
        (("--engine=ray", "--ray-address=127.0.0.1:9", "-n2"), "leave -n out"),
    ):
        ran = warm.pytest(TOY, "--solver=reference", *arguments, *NO_CACHE, cwd=tmp_path)
        assert ran.code != 0 and told in ran.text, ran.text
