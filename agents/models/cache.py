"""A cache of model calls: one SQLite file, JSON inside, shared by any number of threads and processes.

The key is the SHA-256 of what makes an answer what it is: the model's settings (name, address, parameters sent), the
messages and the sample's number. Modes:

    auto      an answer that is there is taken, any other is asked for and kept
    refresh   every answer is asked for and kept, in place of the one that was there
    replay    answers come from the file alone: no network; one that is missing is `ModelTrouble`

Kept is what the model gave as a whole; trouble never is. An answer that the model itself ended early (`length`) is
whole: the same question would end there again, and a replay has to meet it.

A prompt that tells measured times is another question once they are measured anew. A replay therefore takes, where the
very question is missing, the newest answer to one that differs in its numbers alone: same model, same words, same
sample. A solver that shows the model how fast its kernels were can be replayed as long as they rank as they did.

An answer from the cache says so (`Reply.cached`) and costs nothing now: no dollars, no seconds. Its tokens stay what
they were, and what it once cost is in `Usage.saved_dollars`, which a budget counts: a repeated run ends where the first
one did.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import InfrastructureError, ModelTrouble, UsageError
from harness.solver import Message, Model, Reply, Usage

Mode = Literal["auto", "refresh", "replay"]

APPLICATION = 0x4B41_4D43
"""SQLite's mark of whose file it is ("KAMC")."""
VERSION = 1
PATIENCE = 60.0
"""Seconds to wait for other processes that write."""
_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, likeness TEXT NOT NULL, answer TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_likeness ON answers (likeness)",
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Keyed(Model, Protocol):
    """A model that can say what its answers depend on."""

    def settings(self) -> dict[str, Any]:
        """Name, address, parameters: whatever changes an answer, as JSON."""
        ...


class Cache:
    """The file. Each use opens it anew, so that threads and forked processes share nothing but the file itself."""

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path, self.mode = path.absolute(), mode
        if mode == "replay" and not self.path.is_file():
            raise UsageError(f"there is no cache {path} to replay: make it with --model-cache=auto")
        try:
            with closing(self._open()) as database:
                self._make_sure(database)
        except sqlite3.Error as error:
            raise UsageError(
                f"the cache {path} can't be used ({error}): name another file with --model-cache-file"
            ) from None

    def get(self, key: str) -> Reply | None:
        """The answer kept under a key."""
        return self._one("SELECT answer FROM answers WHERE key = ?", key)

    def like(self, likeness: str) -> Reply | None:
        """The newest answer to a question that differs in its numbers alone."""
        return self._one("SELECT answer FROM answers WHERE likeness = ? ORDER BY rowid DESC LIMIT 1", likeness)

    def _one(self, query: str, parameter: str) -> Reply | None:
        with self._use("read") as database:
            row = database.execute(query, (parameter,)).fetchone()
        if row is None:
            return None
        try:
            data = json.loads(row[0])
            return Reply(**{**data, "usage": Usage(**data["usage"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InfrastructureError(
                f"an answer in the cache {self.path} can't be read ({type(error).__name__}): "
                "ask for it again with --model-cache=refresh"
            ) from None

    def put(self, key: str, likeness: str, reply: Reply) -> None:
        """Keep an answer, in place of any that was there."""
        row = (key, likeness, json.dumps(asdict(reply)))
        with self._use("written") as database, database:
            database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)

    @contextmanager
    def _use(self, what: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as database:
                yield database
        except sqlite3.Error as error:
            raise InfrastructureError(
                f"the cache {self.path} can't be {what} ({error}): make room, mend it, or go on with --model-cache=off"
            ) from None

    def _open(self) -> sqlite3.Connection:
        """A connection; in a replay one that can't write."""
        access = "ro" if self.mode == "replay" else "rwc"
        return sqlite3.connect(f"{self.path.as_uri()}?mode={access}", uri=True, timeout=PATIENCE)

    def _make_sure(self, database: sqlite3.Connection) -> None:
        """It is a cache of ours, or becomes one where the file is new."""
        database.execute("BEGIN")  # so that what is read belongs together, whoever else makes the file just now
        strange = self._strange(database)
        database.rollback()
        if strange is None:
            return
        if strange or self.mode == "replay":
            why = strange or "it is empty"
            raise UsageError(f"{self.path} is no cache of model calls ({why}): name another with --model-cache-file")
        _journal_ahead(database)
        with database:
            database.execute("BEGIN IMMEDIATE")
            if self._strange(database) == "":  # another process may have been first
                for statement in _TABLES:
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {APPLICATION}")
                database.execute(f"PRAGMA user_version = {VERSION}")

    @staticmethod
    def _strange(database: sqlite3.Connection) -> str | None:
        """None: a cache of ours; empty: a file with nothing in it; else what it is instead."""
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == APPLICATION:
            return None if version == VERSION else f"its form is {version}, this version reads {VERSION}"
        return "it is a database of something else" if tables or application else ""


class CachedModel:
    """A model whose answers are kept, and taken from there."""

    def __init__(self, inner: Keyed, cache: Cache) -> None:
        self.inner, self.cache = inner, cache
        self.name, self.language_model = inner.name, inner.language_model

    def settings(self) -> dict[str, Any]:
        """Those of the model within."""
        return self.inner.settings()

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """The answer, kept or new. Raises `ModelTrouble`, in a replay for one that is missing."""
        key, likeness = self.keys(messages, sample)
        kept = self.cache.get(key) if self.cache.mode != "refresh" else None
        if kept is None and self.cache.mode == "replay":
            kept = self.cache.like(likeness)
        if kept is not None:
            usage = replace(kept.usage, dollars=0.0, seconds=0.0, saved_dollars=kept.usage.dollars)
            return replace(kept, usage=usage, cached=True)
        if self.cache.mode == "replay":
            raise ModelTrouble(
                f"model {self.name!r}: the cache {self.cache.path} has no answer to this call (sample {sample}): "
                "replay with the model, address, options, solver and seed of the run that filled it, or ask with "
                "--model-cache=auto"
            )
        reply = self.inner.complete(messages, sample=sample)
        self.cache.put(key, likeness, reply)
        return reply

    def keys(self, messages: Sequence[Message], sample: int) -> tuple[str, str]:
        """Of one call: its own, and the one that it shares with calls that differ in the messages' numbers alone."""
        asked = [(each.role, each.content) for each in messages]
        alike = [(role, _NUMBER.sub("#", content)) for role, content in asked]
        return _digest(self.settings(), asked, sample), _digest(self.settings(), alike, sample)


def _digest(settings: dict[str, Any], messages: Sequence[tuple[str, str]], sample: int) -> str:
    parts = {"settings": settings, "messages": messages, "sample": sample}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _journal_ahead(database: sqlite3.Connection) -> None:
    """Readers and one writer at once (WAL). The switch doesn't wait for other processes by itself."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
