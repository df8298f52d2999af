"""What is done to an entry because people read it, and may commit it: secrets are left out, and what says the same stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_cache.entries import CacheEntry, decode, readable, same_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spark_cache.entries.keyring import KeyRing
    from spark_cache.redaction import Redactor, Secret

__all__ = ["is_unchanged", "redacted"]


def redacted(entry: CacheEntry, redactor: Redactor) -> CacheEntry:
    """An entry whose request holds no secret.

    The digests of the parts that held one go too: who guesses a short secret could tell by them that the guess is right, though
    another part of the request is not known.
    """
    if entry.request is None:
        return entry
    request, secrets = redactor.redact(readable(entry.request))
    if not secrets:
        return entry
    return replace(entry, request=request, digests=_untouched(entry, request, secrets))


def _untouched(entry: CacheEntry, request: Any, secrets: Sequence[Secret]) -> dict[str, str]:
    parts = {secret.path.partition(".")[0].partition("[")[0] for secret in secrets}
    if not isinstance(request, dict) or not parts <= entry.digests.keys():
        # Its parts have names of their own.
        return {}
    return {name: digest for name, digest in entry.digests.items() if name not in parts}


def is_unchanged(
    data: bytes, entry: CacheEntry, now: float, *, ring: KeyRing | None, encrypted: bool, of_a_model: bool
) -> bool:
    """Whether an entry need not be written, as the one in its place says the same and is not too old.

    Args:
        data: What stands in its place.
        entry: What would be written.
        now: The time in seconds since the epoch.
        ring: The keys at hand.
        encrypted: Whether it would be written encrypted.
        of_a_model: Whether the responses are answers of a model, two of which may differ in the ids and times of their calls;
            others have to be equal.
    """
    there = decode(data, entry.key, ring=ring, namespace=entry.namespace, encrypted_only=encrypted)
    if not isinstance(there, CacheEntry) or there.staleness(now, entry.ttl) is not None:
        return False
    if (there.ttl, there.request, dict(there.digests)) != (
        entry.ttl,
        readable(entry.request),
        dict(entry.digests),
    ):
        return False
    if of_a_model:
        return same_answer(there.response, entry.response)
    return there.response == entry.response
