"""An attacker who guesses a request and sees everything except the encryption key cannot confirm that it was made."""

from __future__ import annotations

import json
import logging
import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from encryption_world import NEW, OTHER, Parrot, entry_files, manager_of

from spark_cache import CacheConfig
from spark_cache.entries.keyring import KeyRing
from spark_cache.stores import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED = "Am I being fired?"
NOT_ASKED = "Am I being hired?"
SHOWN = 12
"""How many characters of a name a log line shows."""


class Attacker:
    """An attacker who knows how cache keys are computed and guesses a request, but does not have the encryption key."""

    def __init__(self, cache_dir: Path, log: str) -> None:
        self.seen = "\n".join([log, *self._listing(cache_dir), *self._tables(cache_dir)])

    def confirms(self, text: str) -> bool:
        """Return whether anything visible proves that this request was made."""
        return any(clue in self.seen for clue in self._clues(text))

    def _clues(self, text: str) -> Iterator[str]:
        for message in (text, [{"text": text}]):
            key = manager_of("unused").generate_cache_key(
                "parrot", "p", [{"role": "user", "content": message}]
            )
            names = [
                str(key),
                entry_name(key),
                sha256(key.encode()).hexdigest(),
                *KeyRing([OTHER]).names(key),
            ]
            yield from (name[:SHOWN] for name in names)
            yield key.digests["body.messages"][:SHOWN]
        for digest in (sha256(text.encode()), sha256(json.dumps(text).encode())):
            yield digest.hexdigest()[:SHOWN]
        yield text

    def _listing(self, cache_dir: Path) -> Iterator[str]:
        """Yield the names of files and folders, and the plain fields of entries."""
        for path in cache_dir.rglob("*"):
            yield path.name
        for path in entry_files(cache_dir):
            document = json.loads(path.read_bytes())
            yield json.dumps({name: value for name, value in document.items() if name != "token"})

    def _tables(self, cache_dir: Path) -> Iterator[str]:
        """Yield everything in the hidden folder: every row of databases and every byte of other files."""
        for path in (cache_dir / ".spark-cache").rglob("*"):
            if path.suffix == ".sqlite3":
                with sqlite3.connect(path) as database:
                    yield "\n".join(database.iterdump())
                database.close()
            elif path.is_file():
                yield path.read_bytes().decode("latin-1")


async def use(
    cache_dir: Path, caplog: pytest.LogCaptureFixture, *, sensitive: bool | None, **values: Any
) -> str:
    """Ask twice, look up the response by key, and return the log."""
    caplog.set_level(logging.DEBUG, "spark_cache")
    model = Parrot("p", cache_config=CacheConfig(enabled=True, cache_dir=cache_dir, **values))
    question = [{"role": "user", "content": ASKED}]
    for _ in range(2):
        await model.get_text(question, sensitive=sensitive)
    if sensitive is None:
        model.cache.get(model.cache_key(question))
        model.cache.get(str(model.cache_key(question)))
        model.cache.get(f"no key at all of {ASKED}")
    model.cache.flush()
    return "\n".join(json.dumps(record.__dict__, default=repr) for record in caplog.records)


async def test_the_attacker_wins_against_plain_names(cache_dir, caplog):
    """With encryption off, a listing confirms the right guess and no other."""
    await use(cache_dir, caplog, sensitive=None, encryption="off")
    attacker = Attacker(cache_dir, log="")
    assert attacker.confirms(ASKED)
    assert not attacker.confirms(NOT_ASKED)


@pytest.mark.parametrize(("level", "sensitive"), [("all", None), ("sensitive", True)])
async def test_the_attacker_loses_against_encrypted_entries(cache_dir, caplog, level, sensitive):
    """Neither names, nor plain fields, nor the log, nor the ledger confirm a request."""
    log = await use(cache_dir, caplog, sensitive=sensitive, encryption=level, encryption_keys=NEW)
    assert "cache.hit" in log
    assert "cache.miss" in log
    assert not Attacker(cache_dir, log).confirms(ASKED)


@pytest.mark.parametrize("kind", ["plain entry", "broken entry"])
async def test_the_plain_name_is_never_logged(cache_dir, caplog, kind):
    """If encryption is required, not even a miss for a plain file logs its name."""
    await use(cache_dir, caplog, sensitive=None, encryption="off")
    caplog.clear()
    if kind == "broken entry":
        entry_files(cache_dir)[0].write_bytes(b"broken")
    log = await use(cache_dir, caplog, sensitive=None, encryption="all", encryption_keys=NEW)
    assert not Attacker(cache_dir.with_name("nothing"), log).confirms(ASKED)
