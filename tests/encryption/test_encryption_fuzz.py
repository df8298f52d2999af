"""Damaged files of every kind raise only documented exceptions."""

from __future__ import annotations

import pytest

from benchmarks import fuzz as fuzzing
from benchmarks.fuzz import Finding, Target, fuzz
from spark_cache.entries import decode
from spark_cache.entries.keyring import KeyRing
from spark_cache.types import MissReason

INPUTS = 20_000


def test_damaged_files_raise_only_documented_exceptions():
    """Twenty thousand damaged entries, key files, profiles and ledgers are read. The release run uses more."""
    assert sum(fuzz(INPUTS, seed=1).values()) >= INPUTS


def test_the_harness_finds_a_careless_reader(monkeypatch):
    """A reader that trusts its file is caught, so the test above could fail."""
    careless = {"careless": Target(100, (b"[1, 2, 3]",), lambda data: data.decode("ascii"))}
    monkeypatch.setattr(fuzzing, "targets", lambda _folder: careless)
    with pytest.raises(Finding, match="careless raised UnicodeDecodeError"):
        fuzz(500, seed=1)


@pytest.mark.parametrize("brackets", [b"[", b'{"content":', b'{"token":['])
def test_deep_nesting_is_refused(brackets):
    """A hundred thousand brackets are not an entry and are refused quickly."""
    assert decode(brackets * 100_000, ring=KeyRing(fuzzing.KEYS)) is MissReason.CORRUPT
