"""The age limits of an entry, set by its writer and by its reader."""

from __future__ import annotations

import pytest

from spark_cache.types import MissReason

_STORED = 1_000_000.0


@pytest.mark.parametrize(
    ("ttl", "reader_ttl", "age", "reason"),
    [
        (60, None, 0, None),
        (60, None, 59.999, None),
        (60, None, 60, MissReason.EXPIRED),
        (None, None, 1e9, None),
        (None, 60, 59, None),
        (None, 60, 60, MissReason.EXPIRED),
        (3600, 60, 61, MissReason.EXPIRED),
        (60, 3600, 61, MissReason.EXPIRED),
        (0, None, 0, MissReason.EXPIRED),
        (60, None, -300, None),
        (60, None, -300.001, MissReason.FUTURE),
        (None, None, -1e6, MissReason.FUTURE),
    ],
)
def test_an_entry_expires_by_the_shorter_ttl(entry_of, ttl, reader_ttl, age, reason):
    """The shorter TTL counts, and an entry dated more than five minutes ahead is a miss."""
    entry = entry_of(ttl=ttl, timestamp=_STORED)
    assert entry.staleness(_STORED + age, reader_ttl) is reason
