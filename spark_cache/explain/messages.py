"""Sentences that explain the reason for a miss."""

from __future__ import annotations

from time import gmtime, strftime
from typing import TYPE_CHECKING

from spark_cache.config.values import format_duration
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from spark_cache.config import CacheConfig, Policy
    from spark_cache.core.plan import Miss
    from spark_cache.entries import CacheEntry
    from spark_cache.savings import RemovalNote

__all__ = ["age_sentence", "miss_sentence", "moment", "origin_of_setting", "removal_sentence", "subject"]

_SENTENCES = {
    MissReason.ABSENT: "no entry has its key.",
    MissReason.EXPIRED: "its entry has expired.",
    MissReason.UNCACHEABLE: "the request has no exact cache key, so it is never cached: {detail}.",
    MissReason.STATEFUL: "the response depends on state at the provider, so it is never cached: {detail}.",
    MissReason.SENSITIVE: "the request is sensitive, but encryption is off or has no encryption key.",
    MissReason.CORRUPT: "its entry is empty, truncated, damaged, or has a different structure.",
    MissReason.OTHER_VERSION: "its entry has a format version that this release does not support.",
    MissReason.WRONG_KEY: "the file at its path belongs to another request: it was moved, renamed or edited.",
    MissReason.FUTURE: "its entry is dated more than five minutes ahead of the clock.",
    MissReason.NOT_A_FILE: "the path of its entry is not a regular file.",
    MissReason.TOO_LARGE: "the file at its path exceeds the size limit for entries.",
    MissReason.UNREADABLE: "its entry could not be read: {detail}.",
    MissReason.UNDECRYPTABLE: "no available encryption key decrypts its entry, or the entry was tampered with.",
    MissReason.PLAIN_REFUSED: "its entry is not encrypted, but encryption is required.",
}

_REMOVALS = {
    "remove": "it was removed on request",
    "evict": "it was evicted to keep the cache within its size limit (SPARK_CACHE_MAX_SIZE)",
    "expire": "it was removed because its TTL had passed (SPARK_CACHE_TTL)",
}


def subject(provider: str | None, model_id: str | None, name: str | None) -> str:
    """Return the subject of a sentence, such as ``openai/gpt-4o, entry 3f2a…``."""
    model = f"{provider}/{model_id}" if provider is not None else ""
    entry = f"entry {name[:12]}" if name is not None else ""
    return ", ".join(part for part in (model, entry) if part) or "this request"


def miss_sentence(miss: Miss, policy: Policy, config: CacheConfig) -> str:
    """Return why a request missed, with the setting that caused the miss, if any."""
    reason = miss.reason
    if reason is MissReason.DISABLED:
        return f"caching is off for this request ({origin_of_setting('enabled', policy.enabled, config)})."
    if reason is MissReason.BYPASSED:
        return f"the mode does not read the cache ({origin_of_setting('mode', policy.mode, config)}, or the cache= argument of the call)."
    if reason is MissReason.NO_TTL:
        return f"its TTL is 0, so the cache is neither read nor written ({origin_of_setting('ttl_seconds', 0, config)})."
    if reason is MissReason.CORRUPT and miss.detail is not None:
        return f"its entry cannot be used: {miss.detail}."
    sentence = _SENTENCES.get(reason, f"its entry does not suit the call: {reason.value}.")
    return sentence.format(detail=miss.detail or reason.value)


def age_sentence(entry: CacheEntry, policy: Policy, config: CacheConfig, now: float) -> str:
    """Return why an entry has expired, and the setting that decides it."""
    age = format_duration(round(now - entry.timestamp))
    if entry.ttl is not None and now - entry.timestamp >= entry.ttl:
        bound = f"it was stored with a TTL of {format_duration(entry.ttl)}"
    else:
        origin = origin_of_setting("ttl_seconds", policy.ttl_seconds, config)
        bound = f"the TTL is {format_duration(policy.ttl_seconds)} ({origin})"
    return f"its entry is {age} old, and {bound}."


def removal_sentence(note: RemovalNote, provider: str | None, model_id: str | None) -> str:
    """Return when and why an entry of a request to this model was removed, or may have been removed with others."""
    if note.name:
        return f"Its entry existed until {moment(note.at)}: {_REMOVALS.get(note.why, note.why)}."
    of = f" of {provider}{f'/{model_id}' if note.model_folder else ''}" if note.provider_folder else ""
    if note.why == "clear":
        return f"The cache{of} was cleared on {moment(note.at)}, which removed any earlier entry of this request."
    return f"Expired entries{of} were removed on {moment(note.at)}, perhaps with an earlier entry of this request."


def moment(at: float) -> str:
    """Return a point in time, in UTC, to the second."""
    return strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(at))


def origin_of_setting(field: str, value: object, config: CacheConfig) -> str:
    """Return a setting and its origin: a rule, if the configuration itself has another value."""
    own = getattr(config, field)
    origin = config.origins[field].place if own == value else "a rule for this model"
    return f"{field}: {origin}"
