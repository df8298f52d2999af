"""How old an entry may be, for its writer and for its reader."""

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
def test_an_entry_is_fresh_by_its_own_lifetime_and_its_readers(entry_of, ttl, reader_ttl, age, reason):
    """The shorter of both lifetimes holds, and an entry dated more than five minutes ahead answers nothing."""
    entry = entry_of(ttl=ttl, timestamp=_STORED)
    assert entry.staleness(_STORED + age, reader_ttl) is reason
