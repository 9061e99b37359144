"""What scripts beside the tests make of their arguments."""

from __future__ import annotations

import pytest

from tests import arguments, between, gpu, large, rates, soak, throughput, versions, waiting

DOC = "Does it.\n\n    python -m tests.it NAME [--device=cuda] [--some-thing=3]\n"


def test_names_and_options() -> None:
    assert arguments.read(["a", "--device=hip:0", "b", "--some-thing=x=y"], DOC) == (
        ["a", "b"],
        {"device": "hip:0", "some-thing": "x=y"},
    )


@pytest.mark.parametrize("wrong", ["--device", "--other=1", "-x"])
def test_what_is_none_says_what_there_is(wrong: str) -> None:
    with pytest.raises(SystemExit, match="--device"):
        arguments.read([wrong], DOC)


@pytest.mark.parametrize("script", [between, gpu, large, rates, soak, throughput, versions, waiting])
@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_every_script_tells_its_use(script: object, asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main([asked])  # type: ignore[attr-defined]
    assert ended.value.code == 0 and "python -m tests." in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no such option"):
        script.main(["--nonsense=1"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "passes", "wanted"), [("all", 2, [None, None]), ("3", 2, [3, 3]), ("all,3,1", 4, [None, 3, 1, 1])]
)
def test_workloads_of_each_pass(option: str, passes: int, wanted: list[int | None]) -> None:
    assert throughput.numbers(option, passes, "all") == wanted
