"""Reasons as sentences."""

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

__all__ = ["age_sentence", "miss_sentence", "moment", "removal_sentence", "subject"]

_SENTENCES = {
    MissReason.ABSENT: "no entry has its key.",
    MissReason.EXPIRED: "its entry is too old.",
    MissReason.UNCACHEABLE: "the request holds something that cannot be keyed exactly, so it is never cached: {detail}.",
    MissReason.STATEFUL: "the answer depends on state that the provider keeps, so it is never cached: {detail}.",
    MissReason.SENSITIVE: "the request is sensitive, and encryption is off or has no key.",
    MissReason.CORRUPT: "its entry is empty, cut off or damaged, or holds no such answer.",
    MissReason.OTHER_VERSION: "its entry is in a format that this release does not know.",
    MissReason.WRONG_KEY: "the file in its place belongs to another request: it was moved, renamed or edited.",
    MissReason.FUTURE: "its entry is dated more than five minutes ahead of the clock.",
    MissReason.NOT_A_FILE: "something else than a regular file stands in the place of its entry.",
    MissReason.TOO_LARGE: "the file in its place is larger than any entry.",
    MissReason.UNREADABLE: "its entry could not be read: {detail}.",
    MissReason.UNDECRYPTABLE: "no key at hand opens its entry, or the entry was tampered with.",
    MissReason.PLAIN_REFUSED: "its entry is plain text where encryption is required.",
}

_REMOVALS = {
    "evict": "it was removed to keep the cache within its size (SPARK_CACHE_MAX_SIZE)",
    "expire": "it was removed because its lifetime was over (SPARK_CACHE_TTL)",
}


def subject(provider: str | None, model_id: str | None, name: str | None) -> str:
    """What a sentence is about: ``openai/gpt-4o, entry 3f2a…``."""
    model = f"{provider}/{model_id}" if provider is not None else ""
    entry = f"entry {name[:12]}" if name is not None else ""
    return ", ".join(part for part in (model, entry) if part) or "this request"


def miss_sentence(miss: Miss, policy: Policy, config: CacheConfig) -> str:
    """Why a request was not answered, with the setting that decides it where one does."""
    reason = miss.reason
    if reason is MissReason.DISABLED:
        return f"caching is off for it ({_place('enabled', policy.enabled, config)})."
    if reason is MissReason.BYPASSED:
        return f"the mode does not read the cache ({_place('mode', policy.mode, config)}, or cache= of the call)."
    if reason is MissReason.NO_TTL:
        return (
            f"its time to live is 0, so it is neither read nor stored ({_place('ttl_seconds', 0, config)})."
        )
    sentence = _SENTENCES.get(reason, f"the entry does not serve it: {reason.value}.")
    return sentence.format(detail=miss.detail or reason.value)


def age_sentence(entry: CacheEntry, policy: Policy, config: CacheConfig, now: float) -> str:
    """Why an entry is too old, and what decides that."""
    age = format_duration(round(now - entry.timestamp))
    if entry.ttl is not None and now - entry.timestamp >= entry.ttl:
        bound = f"it was stored to live {format_duration(entry.ttl)}"
    else:
        place = _place("ttl_seconds", policy.ttl_seconds, config)
        bound = f"answers are served for {format_duration(policy.ttl_seconds)} ({place})"
    return f"its entry is {age} old, and {bound}."


def removal_sentence(note: RemovalNote) -> str:
    """What became of an entry that was there."""
    return (
        f"Its entry was there until {moment(note.at)}: {_REMOVALS.get(note.why, 'it was removed on demand')}."
    )


def moment(at: float) -> str:
    """A point in time, in UTC, to the second."""
    return strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(at))


def _place(field: str, value: object, config: CacheConfig) -> str:
    """A setting and where it comes from; a rule decides where the configuration itself says something else."""
    own = getattr(config, field)
    origin = config.origins[field].place if own == value else "a rule for this model"
    return f"{field}: {origin}"
