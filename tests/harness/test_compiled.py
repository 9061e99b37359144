"""What Triton compiled is kept by content: it comes back to the same source alone, and to nobody's harm."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from triton.runtime.cache import FileCacheManager

from harness.device import Device
from harness.judge.compiled import BUDGET_BYTES, DRIVER, Compiled
from harness.judge.judge import Judge
from harness.sandbox import binaries
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.task import Task
from harness.verdict import Outcome

GPU = Device("cuda", 0, "A GPU", "GPU-1")
KEY, KERNEL = "A" * 52, b"\x7fELF" + bytes(1000)
COMPILES = f"""
from triton.runtime.cache import get_cache_manager

def compiled():
    cache = get_cache_manager({KEY!r})
    group = cache.get_group("k.json")
    if group:
        return open(group["k.cubin"], "rb").read()
    path = cache.put({KERNEL!r}, "k.cubin")
    cache.put_group("k.json", {{"k.cubin": path}})

SEEN = compiled()

def doubled():
    assert SEEN is not None, "nothing was there"
    assert SEEN == {KERNEL!r}, "something else was there"
"""
"""As Triton itself does it."""


@pytest.fixture
def kept(tmp_path: Path) -> Compiled:
    return Compiled(tmp_path / "compiled", GPU)


@pytest.fixture
def process(judge: Judge) -> Iterator[CandidateProcess]:
    judge.start()
    with CandidateProcess(judge.parent, judge.limits.sandbox, "cpu") as process:
        yield process


def _told(process: CandidateProcess) -> str:
    with pytest.raises(CandidateFailed) as failed:
        process.call({}, 0, [], 30.0)
    return failed.value.reason


def test_a_piece_is_found_by_triton_in_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "one"))
    cache = FileCacheManager(KEY)
    cache.put_group("k.json", {"k.cubin": cache.put(KERNEL, "k.cubin"), "k.json": cache.put("{}", "k.json")})
    with (tmp_path / "piece").open("wb") as file:
        length = binaries.pack(str(tmp_path / "one"), file.fileno())
    assert length == (tmp_path / "piece").stat().st_size > len(KERNEL)
    (tmp_path / "one").rename(tmp_path / "gone")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "two"))
    with (tmp_path / "piece").open("rb") as file:
        binaries.unpack(file.fileno(), str(tmp_path / "two"))
    group = FileCacheManager(KEY).get_group("k.json")
    assert group is not None and set(group) == {"k.cubin", "k.json"}
    assert Path(group["k.cubin"]).read_bytes() == KERNEL and str(tmp_path / "two") in group["k.cubin"]


def test_nothing_and_too_much_make_no_piece(tmp_path: Path) -> None:
    with (tmp_path / "piece").open("wb") as file:
        assert binaries.pack(str(tmp_path / "nowhere"), file.fileno()) == 0
        (tmp_path / "large" / "KEY").mkdir(parents=True)
        os.truncate(os.open(tmp_path / "large" / "KEY" / "k", os.O_CREAT | os.O_RDWR), binaries.MOST_BYTES + 1)
        assert binaries.pack(str(tmp_path / "large"), file.fileno()) == 0


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a/b/evil", "evil"])
def test_a_piece_writes_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "piece", "w") as tar:
        about = tarfile.TarInfo(name)
        about.size = 4
        tar.addfile(about, io.BytesIO(b"evil"))
    with (tmp_path / "piece").open("rb") as file:
        binaries.unpack(file.fileno(), str(tmp_path / "in" / "it"))
    assert not [each for each in tmp_path.rglob("*evil*")]


def test_what_is_no_piece_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "piece").write_bytes(b"not a tar file" * 100)
    with (tmp_path / "piece").open("rb") as file:
        binaries.unpack(file.fileno(), str(tmp_path / "in"))
    assert not (tmp_path / "in").exists()


def test_the_same_source_finds_what_was_compiled(kept: Compiled, judge: Judge, process: CandidateProcess) -> None:
    kept.give(COMPILES, process)
    process.load(COMPILES, "doubled", 30.0)
    assert "nothing was there" in _told(process)
    kept.keep(COMPILES, kept.take(COMPILES, process))
    assert kept.knows(COMPILES) and kept.take(COMPILES, process) == b""
    with CandidateProcess(judge.parent, judge.limits.sandbox, "cpu") as again:
        kept.give(COMPILES, again)
        again.load(COMPILES, "doubled", 30.0)
        assert again.call({}, 0, [], 30.0).outputs == ()
    with CandidateProcess(judge.parent, judge.limits.sandbox, "cpu") as other:
        kept.give(COMPILES + "\n", other)
        other.load(COMPILES + "\n", "doubled", 30.0)
        assert "nothing was there" in _told(other)


def test_the_drivers_module_is_everybodys(kept: Compiled, judge: Judge, process: CandidateProcess) -> None:
    process.load(COMPILES, "doubled", 30.0)
    kept.keep(DRIVER, kept.take(DRIVER, process))
    with CandidateProcess(judge.parent, judge.limits.sandbox, "cpu") as other:
        kept.give("def anything():\n    pass\n" + COMPILES, other)
        other.load(COMPILES, "doubled", 30.0)
        assert other.call({}, 0, [], 30.0).outputs == ()


def test_devices_and_versions_share_nothing(tmp_path: Path) -> None:
    one, other = Compiled(tmp_path, GPU), Compiled(tmp_path, Device("cuda", 1, "Another GPU", "GPU-2"))
    same = Compiled(tmp_path, Device("cuda", 3, "A GPU", "GPU-3"))
    one.keep("source", b"piece")
    assert one.knows("source") and same.knows("source") and not other.knows("source")


def test_without_a_folder_or_a_gpu_nothing_is_kept(tmp_path: Path, process: CandidateProcess) -> None:
    process.load(COMPILES, "doubled", 30.0)
    for each in (Compiled(None, GPU), Compiled(tmp_path, Device("interpreter", 0, "CPU", "cpu"))):
        each.give(COMPILES, process)
        each.keep(COMPILES, each.take(COMPILES, process) + b"piece")
        assert not each.knows(COMPILES)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Compiled(tmp_path / "file", GPU)
    kept.keep("source", b"piece")
    assert not kept.knows("source")
    full = Compiled(tmp_path / "there", GPU)
    assert full.folder is not None
    full._path("source").mkdir()  # the name is taken
    full.keep("source", b"piece")
    assert [each.name for each in full.folder.iterdir()] == [full._path("source").name]


def test_what_was_used_longest_ago_goes(kept: Compiled) -> None:
    assert kept.folder is not None
    for number, source in enumerate(("old", "new")):
        kept.keep(source, b"piece")
        os.truncate(kept._path(source), BUDGET_BYTES * 2 // 3)
        os.utime(kept._path(source), (number, number))
    kept.tidy()
    assert kept.knows("new") and not kept.knows("old")


FORGES = """
import os, triton
_home = os.path.join(os.environ["TRITON_CACHE_DIR"], "A" * 52)
os.makedirs(_home, exist_ok=True)
{act}
"""
ACTS = [
    'open(os.path.join(_home, "k.cubin"), "wb").write(b"forged")',
    'open("k", "w").close(); os.rename("k", os.path.join(_home, "k.cubin"))',
    'open("k", "w").close(); os.link("k", os.path.join(_home, "k.cubin"))',
    'os.symlink("/etc/passwd", os.path.join(_home, "k.cubin"))',
    'os.chdir(_home); open("k.cubin", "a").close()',
]


@pytest.mark.parametrize("act", ACTS)
def test_who_writes_there_is_caught(judge: Judge, doubled: Task, act: str) -> None:
    verdict = judge.judge(doubled, doubled.reference + FORGES.format(act=act))
    assert verdict.outcome is Outcome.CHEATING and "Triton keeps compiled kernels" in verdict.reason


def test_triton_may_write_there(judge: Judge, doubled: Task) -> None:
    honest = "from triton.runtime.cache import get_cache_manager\nget_cache_manager('B' * 52).put(b'1', 'k')\n"
    verdict = judge.judge(doubled, doubled.reference + honest)
    assert verdict.outcome is Outcome.RIGHT and not verdict.warnings, verdict.reason
