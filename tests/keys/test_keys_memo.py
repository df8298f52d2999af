"""The memo never returns the digest of another object."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from spark_cache.keys import DigestMemo, memo
from spark_cache.keys.memo import digest_of
from spark_cache.types import Base64Text

_MEGABYTE = 2**20


@pytest.fixture
def counted(monkeypatch):
    """Return a list of the values whose digest was computed."""
    seen: list[str | bytes] = []

    def count(value):
        seen.append(value)
        return digest_of(value)

    monkeypatch.setattr(memo, "digest_of", count)
    return seen


def test_the_same_object_is_digested_once(counted):
    """The digest of the same object is computed only once."""
    remember, value = DigestMemo(), "x" * 20_000
    assert [remember(value), remember(value)] == [sha256(value.encode()).hexdigest()] * 2
    assert counted == [value]


def test_an_equal_object_is_digested_again(counted):
    """Only identity counts, because comparing long values would cost as much as it saves."""
    remember = DigestMemo()
    first, second = "x" * 20_000, "".join(["x"] * 20_000)
    assert remember(first) == remember(second)
    assert len(counted) == 2


def test_encoded_bytes_are_digested_once(counted):
    """Requests wrap the same bytes anew. The digest of their text is computed once for each prefix and alphabet."""
    remember, data = DigestMemo(), b"\xff" * 20_000
    forms = [("", False), ("data:", False), ("", True)]
    for _ in range(2):
        for prefix, urlsafe in forms:
            text = Base64Text(data, prefix, urlsafe=urlsafe)
            assert remember(text) == sha256(str(text).encode()).hexdigest()
    assert remember(data) == sha256(data).hexdigest()
    assert len(counted) == len(forms) + 1


def test_a_digest_never_belongs_to_a_deleted_object():
    """Objects reuse the addresses of deleted ones, and each gets the digest of its own content."""
    remember = DigestMemo()
    for number in range(500):
        value = f"{number:09}" * 20_000
        assert remember(value) == sha256(value.encode()).hexdigest()
        del value
        if number % 100 == 0:
            gc.collect()


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "\U0001f600"], ids=ascii)
def test_memory_is_bounded(letter):
    """The memo keeps at most 16 MiB alive, for any number of values and any width of characters."""
    remember = DigestMemo()
    for number in range(20):
        remember(f"{number:03}" + letter * _MEGABYTE)
    held = [value for value, _, _ in remember._remembered.values()]
    assert held
    assert sum(map(sys.getsizeof, held)) <= 16 * _MEGABYTE


def test_a_value_above_the_bound_is_not_kept():
    """A value larger than the bound is digested but not kept, and evicts nothing."""
    remember, small = DigestMemo(), "x" * 20_000
    remember(small)
    remember(b"x" * (17 * _MEGABYTE))
    assert [value for value, _, _ in remember._remembered.values()] == [small]


def test_threads_share_a_memo():
    """Many threads get the right digests for the same values, and the bound still holds."""
    remember = DigestMemo()
    values = [f"{number:03}" * 400_000 for number in range(20)]
    expected = [sha256(value.encode()).hexdigest() for value in values]
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [remember(value) for value in values], range(24)))
    assert rounds == [expected] * 24
    assert sum(size for _, _, size in remember._remembered.values()) == remember._size <= 16 * _MEGABYTE


def test_a_lock_that_is_never_released(counted):
    """A child forked while another thread held the lock computes its digests and keeps none."""
    remember, value = DigestMemo(), "x" * 20_000
    with remember._lock:
        assert [remember(value), remember(value)] == [sha256(value.encode()).hexdigest()] * 2
    assert counted == [value, value]
