"""The page in a real browser: it sorts, filters, opens attempts, asks for nothing, and runs no script of a stranger's.

Debian's Chromium, driven by Playwright; skipped where there is none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.run import Run
from harness.verdict import Outcome
from reports.leaderboard import leaderboard
from reports.load import load
from reports.page import build as page_build
from reports.table import percent
from tests.reports.conftest import Builder, verdict

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
DESKTOP, PHONE = (1280, 900), (390, 844)
SOURCE = "import triton\n\n\ndef kernel(x):  # \"half\"\n    return f\"<{x}>\" + '''a\nb''' if x < 1.5e-3 else None\n"

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    '"><svg onload=window.hacked=4>',
    "'-window.hacked=5-'",
    "<!--<script>window.hacked = 6",
    "javascript:window.hacked=7",
    "<a href='javascript:window.hacked=8'>x</a>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "<iframe srcdoc='<script>parent.hacked = 9</script>'></iframe>",
    "<style>@import url(http://127.0.0.1:9/evil)</style>",
    "<link rel=stylesheet href=http://127.0.0.1:9/evil.css>",
    "<base href=http://127.0.0.1:9/>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "\u2028window.hacked = 10\u2029",
    "<form id=data><input name=textContent value=x></form>",
    "\\u003cscript\\u003ewindow.hacked = 11\\u003c/script\\u003e",
    "__proto__",
    "\x00\x1b[31m\u202e<b>",
    "&lt;img src=x onerror=window.hacked=12&gt;",
    "]]><script>window.hacked = 13</script>",
    "${window.hacked = 14}`;window.hacked = 15//",
)


@dataclass
class Watched:
    """A page, and all that it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: Path, anchor: str = "") -> Any:
        """Load a file."""
        self.page.goto(f"file://{path}{anchor}")
        return self.page

    def texts(self, selector: str) -> list[str]:
        """Of all that match."""
        return [each.strip() for each in self.page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def watch(chromium: Any, size: tuple[int, int] = DESKTOP, **options: Any) -> Watched:
    """A new window."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.said.append(message.text))
    watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
    watched.page.on("dialog", lambda dialog: (watched.said.append("a dialog"), dialog.dismiss()))
    watched.page.on("request", lambda request: watched.asked.append(request.url))
    return watched


@pytest.fixture
def window(chromium: Any) -> Iterator[Watched]:
    watched = watch(chromium)
    yield watched
    watched.page.context.close()


def files(run: Run, attempt: Any, source: str = SOURCE) -> None:
    """Of an attempt with three versions."""
    folder = run.sample(attempt)
    (folder / "solution.py").write_text(source)
    versions = [("x = 1\n", False, None), ("x = 2\n", True, 2.0), (source, True, 1.5)]
    events: list[dict[str, Any]] = [{"event": "model", "messages": [{"role": "user", "content": "Write it."}]}]
    events += [
        {"event": "turn", "turn": n, "version": {"number": n, "source": text, "right": right, "speedup": speed}}
        for n, (text, right, speed) in enumerate(versions, 1)
    ]
    (folder / "transcript.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three solvers on 24 tasks of four levels, two samples each."""
    builder = Builder(tmp_path_factory.mktemp("runs"))
    results, levels = [], {}
    for place, solver in enumerate(("slow", "fast", "wrong")):
        for number in range(24):
            for sample in (1, 2):
                attempt = builder.attempt(f"task{number:02}", solver, sample=sample)
                levels[attempt.task] = 1 + number % 4
                good = (number + sample * place) % (place + 2) != 0
                said = verdict(0.6 + 0.5 * place + number / 40, 1.1) if good else verdict(Outcome.VALUES)
                results.append((attempt, said))
    plan = [attempt for attempt, _ in results]
    run = Run.create(builder.root / "run", builder.about([*plan, builder.attempt("task00", "slow", sample=3)]))
    for attempt, said in results:
        category = "reduction" if levels[attempt.task] < 3 else "matrix product"
        run.append(builder.record(attempt, said, level=levels[attempt.task], category=category))
        files(run, attempt)
    run.note_task("rocm", "task00", "# task00\n\nWrite it.")
    return run


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_build.build([run], tmp_path_factory.mktemp("page") / "report.html")


def test_it_asks_for_nothing_and_complains_of_nothing(window: Watched, page: Path) -> None:
    window.open(page)
    for anchor in ("#sample=0", "#tasks", "#sample=3", "#sample=99999", "#nonsense"):
        window.page.evaluate("(anchor) => { location.hash = anchor }", anchor)
        window.page.wait_for_timeout(50)
    assert window.asked == [f"file://{page}"] and window.said == []


def test_a_script_of_somebody_else_does_not_run(window: Watched, page: Path, tmp_path: Path) -> None:
    tampered = tmp_path / "tampered.html"
    tampered.write_text(page.read_text().replace("<main>", "<main><script>window.hacked = 1</script>"))
    window.open(tampered)
    assert window.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in each for each in window.said), "the policy is what stopped it"


def test_tables_sort_by_number_and_by_name(window: Watched, page: Path) -> None:
    window.open(page)
    names = "table.board tbody th"
    assert [each.split()[0] for each in window.texts(names)] == ["wrong", "fast", "slow"]
    head = window.page.get_by_role("button", name="speedup", exact=True).first
    speeds = []
    for _ in range(2):
        head.click()
        speeds.append([float(each.split()[0]) for each in window.texts('table.board td[data-cell="6"]')])
    assert speeds[0] == sorted(speeds[0], reverse=True) and speeds[1] == sorted(speeds[0])
    assert window.page.locator('th[aria-sort="ascending"]').count() == 1
    window.page.get_by_role("button", name="solver, model").press("Enter")
    assert [each.split()[0] for each in window.texts(names)] == ["fast", "slow", "wrong"]


@pytest.mark.parametrize(
    ("control", "value", "query"),
    [
        ("level", "3", "level == 3"),
        ("category", "reduction", "category == 'reduction'"),
        ("search", "TASK01", "task == 'task01'"),
        ("suite", "rocm", "level > 0"),
    ],
)
def test_filters_recount_the_leaderboard(
    window: Watched, page: Path, run: Run, control: str, value: str, query: str
) -> None:
    window.open(page)
    control_node = window.page.locator(f"#{control}")
    control_node.fill(value) if control == "search" else control_node.select_option(value)
    window.page.wait_for_timeout(250)
    frame = load([run])
    expected = leaderboard(frame[frame.task.isin(frame.query(query).task)])
    for row in expected.to_dict("records"):
        line = window.page.locator("table.board tbody tr", has_text=row["solver"])
        shares = [" ".join(line.locator(f'td[data-cell="{cell}"]').inner_text().split()) for cell in (0, 1, 2, 3, 4, 5)]
        assert shares == [
            f"{row['judged']}/{row['attempts']}",
            *(percent(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("call", "execution")),
            *(percent(row[name]) for name in ("fast_1", "fast_1_5", "fast_2")),
        ]
        shown = float(line.locator('td[data-cell="6"]').get_attribute("data-order"))
        assert shown == pytest.approx(row["speedup"], rel=1e-3, nan_ok=True)
    tasks = frame.query(query).task.nunique()
    assert window.page.locator("#map tbody th.task").count() == tasks
    assert f"{tasks} of 24 tasks" in window.page.locator("#chosen").inner_text()
    before = window.texts("table.board td")
    window.page.get_by_role("button", name="Clear").click()
    assert window.page.locator("#map tbody th.task").count() == 24
    assert control == "suite" or window.texts("table.board td") != before


def test_nothing_found_is_no_error(window: Watched, page: Path) -> None:
    window.open(page)
    window.page.locator("#search").fill("no such task")
    window.page.wait_for_timeout(250)
    assert window.page.locator("#map tbody tr").count() == 0 and window.said == []
    assert "0 of 24 tasks" in window.page.locator("#chosen").inner_text()


def test_the_map_groups_and_sorts(window: Watched, page: Path) -> None:
    window.open(page)
    assert window.texts("#map th.group") == ["matrix product", "reduction"]
    window.page.locator("#by").select_option("level")
    assert window.texts("#map th.group") == ["level 1", "level 2", "level 3", "level 4"]
    window.page.locator("#by").select_option("")
    window.page.locator("#order").select_option("speed")
    tasks = window.texts("#map tbody th.task")
    assert window.page.locator("#map th.group").count() == 0 and tasks != sorted(tasks)
    assert tasks.index("task23") < tasks.index("task02")


def test_a_cell_opens_its_attempt(window: Watched, page: Path) -> None:
    opened = window.open(page)
    opened.locator("#map tbody tr", has_text="task05").locator("a").first.click()
    article = opened.locator("#sample")
    assert article.locator("h2").inner_text() == "task05" and not opened.locator("#overview").is_visible()
    assert article.locator("h2").evaluate("(node) => node === document.activeElement")
    assert article.locator(".verdict").inner_text().startswith("right Right on all cases.")
    code = article.locator("pre code").first
    assert code.text_content() == SOURCE
    kinds = {kind: code.locator(f".{kind}").all_text_contents() for kind in ("word", "string", "comment", "digit")}
    assert kinds["word"][:2] == ["import", "def"] and kinds["comment"] == ['# "half"'] and kinds["digit"] == ["1.5e-3"]
    assert kinds["string"] == ['"<{x}>"', "'''a\nb'''"]
    article.get_by_text("beside version 2, the fastest right one").click()
    assert article.locator("details[open] span.removed").first.inner_text() == "-x = 2"
    assert "1.100 [1.048, 1.155]" in article.locator("table").inner_text()
    assert article.get_by_text("to the model, user").count() == 1
    opened.get_by_role("link", name="next attempt").click()
    assert "#sample=" in opened.url
    opened.get_by_role("link", name="back to the overview").click()
    assert opened.locator("#overview").is_visible() and not article.is_visible()
    opened.go_back()
    assert article.is_visible(), "the browser's own way back works"
    assert window.said == []


def test_a_link_to_an_attempt_opens_it(window: Watched, page: Path) -> None:
    opened = window.open(page, "#sample=0")
    assert opened.locator("#sample h2").inner_text() == "task00"
    opened.get_by_text("instruction", exact=True).click()
    assert opened.get_by_text("# task00").is_visible()


def test_hostile_strings_stay_text(chromium: Any, build: Builder, tmp_path: Path) -> None:
    results = []
    for number, evil in enumerate(HOSTILE):
        attempt = build.attempt(evil, evil, evil)
        bad = number % 2
        warned = (evil,)
        said = verdict(Outcome.VALUES, reason=evil, detail=evil) if bad else verdict(1.5, reason=evil, warnings=warned)
        results.append((attempt, said))
    about = {"suites": [{"name": "rocm", "version": HOSTILE[0], "digest": HOSTILE[1], "description": HOSTILE[2]}]}
    run = build.run(results, **about)
    for (attempt, _), evil in zip(results, HOSTILE, strict=True):
        files(run, attempt, evil)
        run.note_task("rocm", attempt.task, evil)
        with (run.sample(attempt) / "transcript.jsonl").open("a") as file:
            told = {"event": evil, evil: evil}
            file.write(json.dumps(told) + "\n" + json.dumps({"event": "model", "reply": {"text": evil}}) + "\n")
    page = page_build.build([run], tmp_path / "page.html")
    window = watch(chromium)
    opened = window.open(page)
    opened.locator("#search").fill(HOSTILE[1])
    opened.wait_for_timeout(200)
    for number, evil in enumerate(HOSTILE):
        opened.evaluate("(number) => { location.hash = `sample=${number}` }", number)
        opened.wait_for_timeout(20)
        for summary in opened.locator("#sample summary").all():
            summary.evaluate("(node) => { node.parentElement.open = true }")
        shown = opened.locator("#sample pre code").first.text_content()
        assert shown == evil.replace("\r", ""), number
    assert opened.evaluate("window.hacked") is None and opened.evaluate("({}).hacked") is None
    assert opened.title() == "Kernel Assay: rocm"
    assert window.asked == [f"file://{page}"] and window.said == []
    window.page.context.close()


def test_a_folder_of_pages_leads_to_its_attempts(
    window: Watched, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_build, "LARGEST_FILE", 1)
    monkeypatch.setattr(page_build, "A_PAGE", 60_000)
    opened = window.open(page_build.build([run], tmp_path / "page.html"))
    opened.locator("#map tbody tr", has_text="task17").locator("a").last.click()
    assert "/samples/" in opened.url and opened.locator("#sample h2").inner_text() == "task17"
    opened.get_by_role("link", name="back to the overview").click()
    assert opened.locator("#overview").is_visible()
    opened.goto(f"file://{tmp_path / 'page' / 'samples' / '0001.html'}")
    assert opened.locator("#sample li").count() > 1
    assert window.said == [] and all(url.startswith(f"file://{tmp_path}") for url in window.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("anchor", ["", "#sample=1"])
def test_it_is_accessible(chromium: Any, page: Path, scheme: str, anchor: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    window = watch(chromium, color_scheme=scheme, bypass_csp=True)
    opened = window.open(page, anchor)
    for node in opened.locator("details").all():
        node.evaluate("(node) => { node.open = true }")
    found = axe.run(opened).response["violations"]
    assert [(each["id"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found] == []
    opened.context.close()


@pytest.mark.parametrize("anchor", ["", "#sample=1"])
def test_a_phone_shows_it_without_scrolling_sideways(chromium: Any, page: Path, anchor: str) -> None:
    window = watch(chromium, PHONE, has_touch=True, is_mobile=True)
    opened = window.open(page, anchor)
    width = opened.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], "only tables and code scroll, in their own frames"
    opened.context.close()


def test_print_leaves_the_controls_out(window: Watched, page: Path) -> None:
    opened = window.open(page)
    opened.emulate_media(media="print")
    assert not opened.locator(".filters").is_visible() and opened.locator("table.board").first.is_visible()


def test_without_a_script_the_leaderboard_is_there(chromium: Any, page: Path) -> None:
    window = watch(chromium, java_script_enabled=False)
    opened = window.open(page)
    assert opened.locator("table.board tbody tr").count() == 3 and opened.locator("svg.chart").count() >= 3
    assert "needs JavaScript" in opened.locator("#map").inner_text()
    opened.context.close()
