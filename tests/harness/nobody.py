"""Runs a module of the tests as a user without privileges, wherever Python and the project lie."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import ROOT

NOBODY = 65534


def as_nobody(place: Path, module: str, *arguments: str, chrooted: bool = False, before: str = "") -> dict[str, Any]:
    """The JSON that a module prints where it is run as an ordinary user, with a home in the empty folder `place`.

    In a chroot no user may make a namespace. `before` are lines of shell that root runs first, in mounts of their own.
    """
    if os.geteuid() != 0:
        pytest.skip("running as another user needs root")
    if not all(shutil.which(name) for name in ("unshare", "setpriv", "mount", "chroot")):
        pytest.skip("unshare, setpriv, mount and chroot are needed (util-linux, coreutils)")
    home, spare, root = (place / name for name in ("home", "spare", "root"))
    for folder in (home, spare, root):
        folder.mkdir()
    shutil.chown(home, NOBODY, NOBODY)
    place.chmod(0o755)
    script = ["set -e", "mount --make-rprivate /"]
    needed = {Path(each).resolve() for each in (sys.base_prefix, sys.prefix, ROOT)}
    for number, closed in enumerate(_closed(needed | {place})):
        # Python, or the project, lies in a home that others may not enter: open a way to it, in this namespace alone.
        inside = [each for each in needed | {place} if closed in each.parents]
        for count, each in enumerate(inside):
            script += [f"mkdir -p {spare}/{number}-{count}", f"mount --rbind {each} {spare}/{number}-{count}"]
        script += [f"mkdir -p /run/{number}-spare", f"mount --rbind {spare} /run/{number}-spare"]
        script += [f"mount -t tmpfs -o mode=755 tmpfs {closed}"]
        for count, each in enumerate(inside):
            script += [f"mkdir -p {each}", f"mount --rbind /run/{number}-spare/{number}-{count} {each}"]
    enter = f"mount --rbind / {root}; exec chroot {root} " if chrooted else "exec "
    script += [before, enter + f'setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all "$@"']
    command = ["unshare", "--mount", "sh", "-c", "\n".join(script), "sh", sys.executable, "-c"]
    tried = subprocess.run([*command, "import encodings"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"another user can't run this Python here: {tried.stderr.strip()}")
    code = f"import os, runpy, sys; os.chdir({str(ROOT)!r}); sys.path.insert(0, {str(ROOT)!r}); "
    code += f"sys.argv[1:] = {list(arguments)!r}; runpy.run_module({module!r}, run_name='__main__')"
    ran = subprocess.run(
        [*command, code],
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _closed(needed: set[Path]) -> list[Path]:
    """Folders on the way to what is needed that others may not enter, outermost ones."""
    found = {parent for path in needed for parent in path.parents if not parent.stat().st_mode & 0o001}
    return sorted(each for each in found if not any(other in each.parents for other in found))
