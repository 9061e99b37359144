"""Arguments of the scripts beside the tests: `NAME … --option=VALUE …`. A script's own docstring is its help, and says
which options there are."""

from __future__ import annotations

import re


def read(arguments: list[str], doc: str | None) -> tuple[list[str], dict[str, str]]:
    """Names, and options by name. Raises SystemExit where help is asked for, or an option is none."""
    text = doc or ""
    if {"-h", "--help"} & set(arguments):
        print(text.strip())
        raise SystemExit(0)
    known = set(re.findall(r"--([a-z][a-z-]*)=", text))
    names: list[str] = []
    options: dict[str, str] = {}
    for each in arguments:
        if not each.startswith("-"):
            names.append(each)
            continue
        name, equals, value = each.lstrip("-").partition("=")
        if name not in known:
            raise SystemExit(f"{each}: there is no such option, but {', '.join(f'--{one}' for one in sorted(known))}")
        if not equals:
            raise SystemExit(f"{each} needs a value: {each}=…")
        options[name] = value
    return names, options
