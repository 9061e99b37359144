"""Tables as LaTeX: a float with `booktabs` rules for each, numbers aligned to the right, facts above and notes below.

    \\usepackage{booktabs}
    \\usepackage{graphicx}

are all that a document needs, with pdfLaTeX, XeLaTeX or LuaLaTeX. A table that is wider than the text is made smaller.
What is written is ASCII alone: names and reasons come from strangers, and a character that the fonts at hand lack, or
that LaTeX would take as a command, must not stop a paper from being set.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

from tabulate import DataRow, Line, TableFormat, tabulate

from reports.table import Column, Table

_HEAD = "% needs \\usepackage{booktabs} and \\usepackage{graphicx}\n"
_ROW = DataRow("", " & ", " \\\\")
_RULE = Line("\\midrule", "", "", "")
_FORM = TableFormat(None, _RULE, None, None, _ROW, _ROW, 0, None)

_PLAIN = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "\\": "\\textbackslash{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "{\\char34}",  # babel makes commands of the plain character
    "`": "\\textasciigrave{}",
    # after the end of a row these would be an argument of it
    **{character: f"{{{character}}}" for character in "[]*"},
}
_SIGNS = {
    **{"µ": "\\ensuremath{\\mu}", "μ": "\\ensuremath{\\mu}", "×": "\\ensuremath{\\times}", "·": "\\ensuremath{\\cdot}"},
    **{"±": "\\ensuremath{\\pm}", "≤": "\\ensuremath{\\le}", "≥": "\\ensuremath{\\ge}", "≈": "\\ensuremath{\\approx}"},
    **{"−": "\\ensuremath{-}", "→": "\\ensuremath{\\to}", "²": "\\ensuremath{^2}", "³": "\\ensuremath{^3}"},
    **{"▲": "\\ensuremath{\\uparrow}", "▼": "\\ensuremath{\\downarrow}", "∞": "\\ensuremath{\\infty}"},
    **{"√": "\\ensuremath{\\surd}", "Σ": "\\ensuremath{\\Sigma}", "Δ": "\\ensuremath{\\Delta}"},
    **{
        "α": "\\ensuremath{\\alpha}",
        "β": "\\ensuremath{\\beta}",
        "γ": "\\ensuremath{\\gamma}",
        "σ": "\\ensuremath{\\sigma}",
    },
    **{"…": "\\ldots{}", "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "\xa0": "~", "§": "\\S{}"},
    **{"ß": "\\ss{}", "ø": "\\o{}", "Ø": "\\O{}", "æ": "\\ae{}", "Æ": "\\AE{}", "œ": "\\oe{}", "Œ": "\\OE{}"},
    **{"ł": "\\l{}", "Ł": "\\L{}", "ı": "\\i{}"},
}
_ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u0304": "=", "\u0307": "."},
    **{"\u0306": "u", "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"},
}
"""Combining characters, and the commands that set them over an ASCII letter."""


def as_latex(tables: Sequence[Table]) -> str:
    """A `table` environment for each table."""
    return _HEAD + "".join(f"\n{_environment(table)}" for table in tables)


def escape(text: str) -> str:
    """Text that LaTeX sets as it stands: ASCII, no commands, no new cell or row. A character that plain LaTeX has no
    sign for is named by its code point, `[U+6838]`."""
    pairs = zip_longest(text, text[1:], fillvalue="")
    return "".join(_character(character, following) for character, following in pairs)


def _character(character: str, following: str) -> str:
    if character in _PLAIN or character in _SIGNS:
        return _PLAIN.get(character) or _SIGNS[character]
    if character.isspace():
        return " "
    if character.isascii() and character.isprintable():
        # fonts join these into other signs: two hyphens into a dash
        return f"{character}{{}}" if character in "-,'!?" and following in ("-", ",", "'", "`") else character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        return f"\\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _environment(table: Table) -> str:
    """One table, no wider than the text around it."""
    sides = "".join("l" if column.text else "r" for column in table.columns)
    notes = [f"{escape(f'[{n}]')} {escape(note)}" for n, note in enumerate(table.notes, 1)]
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escape(table.title)}}}",
        *_paragraphs([escape(fact) for fact in table.facts]),
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"\\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
        "\\toprule",
        *_rows(table.columns),
        "\\bottomrule",
        "\\end{tabular}}",
        *_paragraphs([*notes, *(escape(each) for each in table.legend)]),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(texts: Sequence[str]) -> list[str]:
    """Small print as wide as the text, a paragraph each."""
    if not texts:
        return []
    body = "\\par\n".join(texts)
    return [
        "\\par\\smallskip",
        f"\\begin{{minipage}}{{\\linewidth}}\\footnotesize\\raggedright\n{body}\n\\end{{minipage}}",
        "\\par\\smallskip",
    ]


def _rows(columns: Sequence[Column]) -> list[str]:
    heads = [_head(column) for column in columns]
    rows = list(zip(*([_cell(cell, column) for cell in column.cells] for column in columns), strict=True))
    if not rows:
        return [" & ".join(heads) + " \\\\", "\\midrule"]
    sides = ["left" if column.text else "right" for column in columns]
    return tabulate(rows, heads, _FORM, disable_numparse=True, colalign=sides).split("\n")


def _cell(cell: str, column: Column) -> str:
    """A cell; a number that stands where others have a mark behind them leaves the mark's room, to stay below them."""
    text = cell.rstrip(" ")
    room = 0 if column.text else len(cell) - len(text)
    return escape(text) + (f"\\phantom{{ {{[}}{'0' * (room - 3)}{{]}}}}" if room > 2 else "")


def _head(column: Column) -> str:
    """A header, in as many lines as it has."""
    lines = [escape(line) for line in column.header.split("\n")]
    stack = " \\\\ ".join(lines)
    return stack if len(lines) == 1 else f"\\shortstack[{'l' if column.text else 'r'}]{{{stack}}}"
