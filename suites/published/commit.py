"""The commit of a checkout, read from its files."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")


def commit_of(root: Path) -> str:
    """The commit that is checked out in `root` itself; "" where there is none. No repository around it counts."""
    git = root / ".git"
    try:
        if git.is_file():
            git = root / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if head.startswith("ref:"):
            head = _resolved(git, head.removeprefix("ref:").strip())
    except (OSError, ValueError):
        return ""
    return head if _COMMIT.fullmatch(head) else ""


def _resolved(git: Path, ref: str) -> str:
    """What a ref stands for; the refs of a linked work tree lie in the folder that its `commondir` names."""
    common = git / "commondir"
    homes = [git, git / common.read_text(encoding="utf-8").strip()] if common.is_file() else [git]
    for home in homes:
        if (home / ref).is_file():
            return (home / ref).read_text(encoding="utf-8").strip()
    packed = homes[-1] / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.split()[1:] == [ref]), "")
