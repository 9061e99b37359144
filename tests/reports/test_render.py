"""The forms of a table: within the width, read back by parsers of Markdown, CSV and JSON, set by LaTeX."""

from __future__ import annotations

import csv as csv_module
import io
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.verdict import Outcome
from reports import table
from reports.as_json import as_json
from reports.as_latex import as_latex
from reports.as_latex import escape as latex_escape
from reports.leaderboard_table import leaderboard_tables
from reports.load import load
from reports.render import csv, markdown, terminal
from reports.table import Column, Table, clean
from reports.tasks import tasks, tasks_table

HOSTILE = "a|b `c` <script>alert(1)</script> [x](http://evil) *b* _i_ $m$ \\ &lt; \x1b[31mred\u202e\ud800 ~s~\nnew"


def cells_of(text: str) -> list[list[list[str]]]:
    """Tables of a Markdown text, as GitHub's parser reads their cells."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type in ("table_open", "table_close"):
            inside = token.type == "table_open"
            found += [[]] if inside else []
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and inside:
            assert all(child.type in ("text", "text_special") for child in token.children or [])
            found[-1][-1].append("".join(child.content for child in token.children or []))
    return found


def size(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


@pytest.fixture
def run(build: Any, verdict: Callable[..., Any]) -> Any:
    results = []
    for solver, model in (("geak:turns=10", "gpt-oss-120b"), ("direct", "offline"), ("reference", "")):
        for n in range(8):
            said = verdict(Outcome.VALUES) if n == 3 else verdict(0.8 + n / 10)
            results.append((build.attempt(f"task_{n}", solver, model), said))
    return build.run(results, model={"name": "offline", "language_model": False})


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_terminal_keeps_the_width(width: int, run: Any) -> None:
    for tables in (leaderboard_tables(load([run])), [tasks_table(load([run]))]):
        lines = terminal(tables, width).splitlines()
        assert max(map(len, lines)) <= width
        assert all(line == line.rstrip() for line in lines)


def test_terminal_names_rows_in_every_block(run: Any) -> None:
    text = terminal(leaderboard_tables(load([run])), 100)
    assert text.count("gpt-oss-120b") == text.count("solver ") - text.count("solver is") >= 2
    assert "87.5 [52.9, 97.8]" in text and text.isascii()


def test_terminal_columns_are_aligned(run: Any) -> None:
    lines = terminal(leaderboard_tables(load([run])), 200).splitlines()
    rule = next(number for number, line in enumerate(lines) if line.startswith("---"))
    gaps = [i for i, c in enumerate(lines[rule]) if c == " "]
    rows = [line for line in lines[rule + 1 :] if line][:3]
    assert len(rows) == 3
    assert all(i >= len(line) or line[i] == " " for line in rows for i in gaps)


def test_wide_characters_stay_aligned() -> None:
    columns = (
        Column("name", ("核心核心核心核心核心核心", "e\u0301", "x" * 50), text=True, names=True),
        Column("n", ("1", "22", "3")),
    )
    lines = terminal([Table("t", (), columns)], 60).splitlines()
    ends = [size("".join(c for c in line if not unicodedata.combining(c))) for line in lines if line[-1:].isdigit()]
    assert len(ends) == 3 and len(set(ends)) == 1


def test_markdown_is_one_table_that_a_parser_reads_back(run: Any) -> None:
    tables = leaderboard_tables(load([run]))
    (parsed,) = cells_of(markdown(tables))
    assert parsed[0] == [" ".join(column.header.split()) for column in tables[0].columns]
    assert parsed[1:] == [list(row) for row in zip(*(column.cells for column in tables[0].columns), strict=True)]


def test_hostile_names_do_no_harm(build: Any, verdict: Callable[..., Any]) -> None:
    attempt = build.attempt(HOSTILE, HOSTILE, HOSTILE)
    run = build.run([(attempt, verdict(Outcome.VALUES, reason="=cmd()" + HOSTILE))])
    frame = load([run])
    for tables in (leaderboard_tables(frame), [tasks_table(frame)]):
        for text in (markdown(tables), terminal(tables, 100)):
            assert "\x1b" not in text and "\u202e" not in text
            text.encode()
        (parsed,) = cells_of(markdown(tables))
        assert len(parsed) == 2 and len(parsed[1]) == len(tables[0].columns)
        rows = list(csv_module.reader(io.StringIO(csv(tables))))
        assert len(rows) == 2 and len(rows[0]) == len(rows[1])
        assert not any(cell.startswith("=") for cell in rows[1])


@given(st.text(max_size=60))
def test_any_text_survives_markdown(text: str) -> None:
    shown = clean(text)
    columns = (Column("a", ("x",), text=True), Column("b", (shown,), text=True))
    (parsed,) = cells_of(markdown([Table("t", (), columns)]))
    assert parsed[1] == ["x", shown.strip()]


def test_csv_has_full_precision_and_empty_unknowns(run: Any) -> None:
    frame = load([run])
    back = pd.read_csv(io.StringIO(csv(leaderboard_tables(frame))))
    assert len(back) == 3 and back["execution"].tolist() == [0.875] * 3
    assert back["execution_low"][0] == pytest.approx(0.5291, abs=1e-4)
    back = pd.read_csv(io.StringIO(csv([tasks_table(frame)])))
    assert back["speedup"].isna().sum() == 3
    assert back["speedup"].dropna().tolist() == pytest.approx(frame["speedup"].dropna().tolist())
    assert "," not in str(back["evaluations"][0]) and back["evaluations"][0] == 3


def test_csv_of_a_table_without_data_is_what_is_shown() -> None:
    shown = Table("T", (), (Column("rows\nof it", ("1", "2"), names=True), Column("", ("a", "=b"))))
    assert csv([shown]) == "rows of it,T\n1,a\n2,'=b\n"


def test_csv_keeps_interpreted_times_apart(build: Any, verdict: Any, interpreter: Any) -> None:
    device = build.run([(build.attempt(), verdict(2.0))])
    slow = build.run([(build.attempt(), verdict(0.5, clock="interpreted"))], environment=interpreter)
    back = pd.read_csv(io.StringIO(csv(leaderboard_tables(load([device, slow])))))
    assert back["speedup"].dropna().tolist() == [2.0] and back["interpreted_speedup"].dropna().tolist() == [0.5]


def test_tasks_have_ids_and_reasons(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt("a"), verdict(Outcome.VALUES)), (build.attempt("b"), None)])
    frame = load([run])
    assert tasks(frame)["attempt"].tolist() == [attempt.id for attempt in run.planned()]
    cells = {column.header: column.cells for column in tasks_table(frame).columns}
    assert cells["outcome"] == ("wrong values", "owed")
    assert cells["reason"] == ("It stopped: wrong values.", "not judged yet")
    assert cells["speedup"] == ("-", "-") and "solver" not in cells


def test_a_run_without_attempts_renders(build: Any) -> None:
    one = tasks_table(load([build.run()]))
    assert "Tasks" in terminal([one]) and markdown([one]) and csv([one]).startswith("attempt,")
    assert csv([]) == "\n" or csv([]) == '""\n'


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (table.percent(0.875, 0.529, 0.978), "87.5 [52.9, 97.8]"),
        (table.percent(float("nan")), "-"),
        (table.ratio(1.234, 0.98, 1.5), "1.23 [0.98, 1.50]"),
        (table.ratio(2.0), "2.00"),
        (table.ratio(0.0123, 0.009, 123.4), "0.012 [0.009, 123]"),
        (table.ratio(float("nan")), "-"),
        (table.amount(9999), "9999"),
        (table.amount(12_345), "12.3k"),
        (table.amount(999_999), "1000k"),
        (table.amount(4_560_000), "4.56M"),
        (table.amount(float("nan")), "?"),
        (table.dollars(0.0), "0.00"),
        (table.dollars(12.3), "12.30"),
        (table.dollars(0.0042), "0.0042"),
        (table.dollars(1e-9), "<0.0001"),
        (table.dollars(float("nan")), "?"),
        (table.seconds(12.34), "12.3"),
        (table.seconds(1234.5), "1234"),
        (table.microseconds(7.123), "7.12"),
        (table.microseconds(12345.6), "12346"),
        (table.whole_percent(0.583), "58"),
        (table.whole_percent(0.0123), "1.2"),
        (clean("a\tb\n c\x1b", 80), "a b c\ufffd"),
        (clean("abcdef", 4), "abc…"),
    ],
)
def test_cells(shown: str, expected: str) -> None:
    assert shown == expected


NASTY = '& % $ # _ { } ~ ^ \\ [1ex] * " ` < > | -- ?` !` \\input{x} ^^41 % \\end{table} é ő µ × … 核 \U0001f600'


def unescaped(text: str) -> str:
    """LaTeX text as it is set, by the commands that `as_latex` may use and no others."""
    found = {f"\\{c}": c for c in "&%$#_{}"} | {"{}": "", "{[}": "[", "{]}": "]", "{*}": "*", "{\\char34}": '"'}
    found |= {"\\textasciitilde{}": "~", "\\textasciicircum{}": "^", "\\textbackslash{}": "\\", "\\ldots{}": "…"}
    found |= {"\\textless{}": "<", "\\textgreater{}": ">", "\\textbar{}": "|", "\\textasciigrave{}": "`"}
    found |= {"\\ensuremath{\\mu}": "µ", "\\ensuremath{\\times}": "×", "\\'{e}": "é", "\\H{o}": "ő"}
    pattern = "|".join(sorted(map(re.escape, found), key=len, reverse=True)) + r"|[^\\{}&%$#_^~\[\]*\"`<>|]"
    assert re.fullmatch(f"(?:{pattern})*", text), text
    return re.sub(pattern, lambda match: found.get(match[0], match[0]), text)


def test_latex_escapes_all_that_it_would_read_as_its_own() -> None:
    text = latex_escape(NASTY)
    assert text.isascii() and unescaped(text) == NASTY.replace("核", "[U+6838]").replace("\U0001f600", "[U+1F600]")
    assert "--" not in text and "?`" not in text


@given(st.text(max_size=40))
def test_any_text_is_plain_in_latex(text: str) -> None:
    escaped = latex_escape(clean(text))
    assert escaped.isascii() and escaped.isprintable()
    assert escaped.count("{") - escaped.count("\\{") == escaped.count("}") - escaped.count("\\}")
    assert not re.search(r"(?<!\\)[&%$#_]", escaped) and not re.search(r"\\(input|end|write|def)\b", escaped)


def test_latex_has_rules_sides_and_rows(run: Any) -> None:
    (shown,) = leaderboard_tables(load([run]))
    lines = as_latex([shown]).splitlines()
    for command in ("\\begin{table}", "\\toprule", "\\midrule", "\\bottomrule", "\\end{tabular}}", "\\end{table}"):
        assert lines.count(command) == 1
    sides = "".join("l" if column.text else "r" for column in shown.columns)
    assert f"\\begin{{tabular}}{{@{{}}{sides}@{{}}}}" in lines
    top, middle, bottom = (lines.index(f"\\{name}rule") for name in ("top", "mid", "bottom"))
    assert middle == top + 2 and bottom == middle + 4
    for line in (lines[top + 1], *lines[middle + 1 : bottom]):
        assert line.endswith(" \\\\") and line.count(" & ") == len(shown.columns) - 1
    assert "\\shortstack[r]{failures \\\\ = 1}" in lines[top + 1]
    assert sum(line.startswith("{[}1{]} ") for line in lines) == 1 and "87.5 {[}52.9, 97.8{]}" in lines[middle + 1]


def test_latex_keeps_numbers_below_each_other() -> None:
    """A cell without a mark takes the room of one."""
    marked = Table("t", (), (Column("n", ("1.0 [1]", "2.0    ")), Column("a", ("[x] ", "*"), text=True)))
    rows = as_latex([marked]).partition("\\midrule\n")[2].splitlines()[:2]
    assert [row.split(" & ")[0].strip() for row in rows] == ["1.0 {[}1{]}", "2.0\\phantom{ {[}0{]}}"]
    assert [row.split(" & ")[1].removesuffix("\\\\").strip() for row in rows] == ["{[}x{]}", "{*}"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(build: Any, verdict: Callable[..., Any], tmp_path: Path) -> None:
    name = HOSTILE + NASTY
    frame = load([build.run([(build.attempt(name, name, name), verdict(Outcome.VALUES, reason=name))])])
    tables = [*leaderboard_tables(frame), tasks_table(frame), Table(name, (name,), (Column("[n]", ()),), (name,))]
    head = "\\documentclass{article}\\usepackage{booktabs}\\usepackage{graphicx}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(head + as_latex(tables) + "\\end{document}\n")
    line = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def test_json_has_every_table_in_full(run: Any) -> None:
    frame = load([run])
    tables = [*leaderboard_tables(frame), tasks_table(frame)]
    board, attempts = read_json(tables)
    assert board["title"] == "Leaderboard" and board["facts"] == list(tables[0].facts)
    assert board["notes"] == list(tables[0].notes) and board["legend"] == list(tables[0].legend)
    assert [row["execution"] for row in board["rows"]] == [0.875] * 3
    assert board["rows"][0]["attempts"] == 8 and isinstance(board["rows"][0]["attempts"], int)
    speedups = [row["speedup"] for row in attempts["rows"]]
    assert speedups.count(None) == 3
    assert [each for each in speedups if each is not None] == frame["speedup"].dropna().tolist(), "to the last digit"
    assert attempts["rows"][0]["planned"] is True and list(attempts["rows"][0]) == attempts["columns"]


def test_json_of_a_table_without_data_is_what_is_shown() -> None:
    columns = (Column("who", ("a\ud800", "-"), text=True), Column("n\nof", ("1", "-")), Column("m", ("?", "2")))
    (told,) = read_json([Table("T", ("fact",), columns, ("note",), ("legend",))])
    assert told["rows"] == [{"who": "a?", "n of": "1", "m": None}, {"who": "-", "n of": None, "m": "2"}]
    assert (told["facts"], told["notes"], told["legend"]) == (["fact"], ["note"], ["legend"])
    assert read_json([]) == []


def test_json_knows_no_nan_and_keeps_times_apart(build: Any, verdict: Callable[..., Any], interpreter: Any) -> None:
    slow = build.run([(build.attempt(HOSTILE), verdict(0.5, clock="interpreted"))], environment=interpreter)
    text = as_json(leaderboard_tables(load([slow])))
    assert text.isascii() and "NaN" not in text and "Infinity" not in text
    (board,) = json.loads(text)["tables"]
    assert board["rows"][0]["interpreted_speedup"] == 0.5 and "speedup" not in board["rows"][0]
    data = pd.DataFrame({"x": [float("inf"), float("nan"), 1.5], "y": [None, pd.NA, "=a"], "z": [pd.NaT, ("b",), 2]})
    (told,) = read_json([Table("T", (), (), data=data)])
    assert [list(row.values()) for row in told["rows"]] == [[None, None, None], [None, None, "('b',)"], [1.5, "=a", 2]]


def read_json(tables: list[Table]) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(as_json(tables), parse_constant=refuse)["tables"]
