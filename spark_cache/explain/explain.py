"""Explanations of a call, a key or a logged miss."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.core.lookup import unusable
from spark_cache.core.plan import Hit, Miss, must_encrypt, refusal_of
from spark_cache.entries import CacheEntry, decode, encode
from spark_cache.errors import StoreError
from spark_cache.explain.difference import Explanation
from spark_cache.explain.messages import (
    age_sentence,
    miss_sentence,
    moment,
    origin_of_setting,
    removal_sentence,
    subject,
)
from spark_cache.explain.nearest import Candidate
from spark_cache.explain.search import Target, with_nearest
from spark_cache.keys import ignored_in, readable_request
from spark_cache.stores import entry_name, folder_name
from spark_cache.types import CacheKey, MissReason, Mode, Request

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.core.lookup import Lookup
    from spark_cache.core.plan import Plan
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.savings import MissNote, RemovalNote

__all__ = ["explain_call", "explain_miss", "explain_name"]

_NO_RESPONSE: dict[str, Any] = {"content": None, "stop_reason": None, "usage": None}


class _Call(NamedTuple):
    """The plan of a call that has a key."""

    key: CacheKey
    policy: Policy
    mode: Mode
    encrypted: bool


def explain_call(
    lookup: Lookup, ring: KeyRing | None, plan: Plan, request: Request, missed: Miss | None = None
) -> Explanation:
    """Explain a call, with its result or with the result that it would have now.

    Args:
        lookup: The entries.
        ring: The encryption keys, or None without encryption.
        plan: The plan of the call.
        request: The request.
        missed: The miss to explain, or None to look the request up.
    """
    refused = plan.refusal if missed is None else missed
    if plan.key is None:
        about = subject(request.provider, request.model_id, None)
        refused = refused or Miss(MissReason.BYPASSED)
        sentence = miss_sentence(refused, plan.policy, lookup.config)
        return Explanation(request.provider, request.model_id, refused.reason, f"{about}: {sentence}")
    stored = readable_request(request) if plan.policy.store_requests else None
    call = _Call(plan.key, plan.policy, plan.mode, plan.encrypted)
    explanation = _explain_key(lookup, ring, call, stored, missed)
    ignored = ignored_in(request, plan.policy.ignore)
    if not ignored:
        return explanation
    note = f"{', '.join(ignored)} is not part of the key ({origin_of_setting('ignore', plan.policy.ignore, lookup.config)})."
    return replace(explanation, notes=(*explanation.notes, note))


def explain_name(lookup: Lookup, ring: KeyRing | None, key: str) -> Explanation:
    """Explain a key: the key of a request, of an existing entry, or of a miss or removal in the miss log.

    Args:
        lookup: The entries.
        ring: The encryption keys, or None without encryption.
        key: The key, or the name of an entry.
    """
    if isinstance(key, CacheKey):
        policy = lookup.config.policy(key.provider, key.model_id)
        encrypted = must_encrypt(policy, sensitive=False)
        refusal = refusal_of(
            Request(key.provider, key.model_id, {}),
            policy,
            None,
            encrypted=encrypted,
            can_encrypt=ring is not None and policy.encryption != "off",
        )
        if refusal is None:
            return _explain_key(lookup, ring, _Call(key, policy, policy.mode, encrypted), None, None)
        about = subject(key.provider, key.model_id, None)
        sentence = miss_sentence(refusal, policy, lookup.config)
        return Explanation(key.provider, key.model_id, refusal.reason, f"{about}: {sentence}")
    names = (*(() if ring is None else ring.names(key)), entry_name(key))
    for name in names:
        found = _explain_file(lookup, ring, name)
        if found is not None:
            return found
    for name in names:
        for note in lookup.directory.savings.misses(name):
            if note.name == name:
                return explain_miss(lookup, ring, note)
    for name in names:
        about = subject(None, None, name)
        summary = f"{about}: no entry has this name, and no miss of it is logged."
        explanation = Explanation(None, None, MissReason.ABSENT, summary, name)
        explanation, was_removed = _with_removals(explanation, lookup)
        if was_removed:
            break
    return explanation


def explain_miss(lookup: Lookup, ring: KeyRing | None, note: MissNote) -> Explanation:
    """Explain a miss from the miss log. If its response has been stored since, the request is taken from the entry.

    Args:
        lookup: The entries.
        ring: The encryption keys, or None without encryption.
        note: The miss.
    """
    about = subject(note.provider, note.model, note.name)
    policy = lookup.config.policy(note.provider, note.model)
    reason = MissReason(note.reason) if note.reason in MissReason.__members__.values() else None
    if reason is None:
        sentence = f"missed on {moment(note.at)}: {note.reason}."
    else:
        missed = Miss(reason)
        if reason is MissReason.CORRUPT:
            # The log has no detail, but the file may still be there.
            present = _file_of(lookup, ring, note.name)
            missed = present if isinstance(present, Miss) and present.reason is reason else missed
        sentence = f"missed on {moment(note.at)}: {miss_sentence(missed, policy, lookup.config)}"
    explanation = Explanation(note.provider, note.model, reason, f"{about}: {sentence}", note.name)
    if reason is not MissReason.ABSENT:
        return explanation
    explanation, was_removed = _with_removals(explanation, lookup, before=note.at)
    if was_removed:
        return explanation
    stored = _file_of(lookup, ring, note.name)
    if isinstance(stored, Candidate):
        target = Target(stored.entry, stored.encrypted, before=stored.entry.timestamp)
    elif note.digests:
        entry = CacheEntry(
            note.name, note.provider, note.model, dict(_NO_RESPONSE), note.at, None, digests=note.digests
        )
        target = Target(entry, redacted=False, before=note.at)
    else:
        no_digests = "the request must be encrypted, so the miss log holds nothing to compare."
        return replace(explanation, notes=(no_digests,))
    return with_nearest(explanation, target, lookup, ring)


def _explain_key(
    lookup: Lookup,
    ring: KeyRing | None,
    call: _Call,
    request: dict[str, Any] | None,
    missed: Miss | None,
) -> Explanation:
    key, policy, mode, encrypted = call
    name = lookup.names.written(key, encrypted=encrypted)
    found: Hit | Miss
    if missed is not None:
        found = missed
    elif not mode.reads:
        found = Miss(MissReason.BYPASSED)
    else:
        # Neither mode counts the lookup as a use, and each judges the age of entries as the mode of the call does.
        mode = Mode.REPLAY if mode is Mode.REPLAY else Mode.READ_ONLY
        found, _ = lookup.find(key, policy, mode, encrypted=encrypted)
    about = subject(key.provider, key.model_id, name)
    if isinstance(found, Hit):
        sentence = f"its response is in the cache, stored {moment(found.timestamp)}."
        return Explanation(key.provider, key.model_id, None, f"{about}: {sentence}", name)
    sentence = miss_sentence(found, policy, lookup.config)
    if found.reason is MissReason.EXPIRED:
        entry = _any_age(lookup, key, policy, encrypted=encrypted)
        if entry is not None:
            sentence = age_sentence(entry, policy, lookup.config, lookup.directory.clock())
    explanation = Explanation(key.provider, key.model_id, found.reason, f"{about}: {sentence}", name)
    if found.reason is not MissReason.ABSENT:
        return explanation
    explanation, was_removed = _with_removals(explanation, lookup)
    if was_removed:
        return explanation
    return with_nearest(explanation, Target(_stored_form(key, policy, request), encrypted), lookup, ring)


def _with_removals(
    explanation: Explanation, lookup: Lookup, *, before: float = inf
) -> tuple[Explanation, bool]:
    """Return an explanation with the last removal that explains the miss, and whether the entry is known to have existed."""
    provider, model_id = explanation.provider, explanation.model_id
    folders = ["" if name is None else folder_name(name) for name in (provider, model_id)]
    found: list[RemovalNote] = []
    for note in lookup.directory.savings.removals(explanation.name or "", *folders):
        if note.at > before or (found and note.why == "cleanup"):
            continue
        found.insert(0, note)
        # A cleanup may have removed the entry, or an earlier removal did.
        if note.why != "cleanup":
            break
    sentences = [removal_sentence(note, provider, model_id) for note in found]
    explained = replace(explanation, summary=" ".join((explanation.summary, *sentences)))
    return explained, any(note.name for note in found)


def _any_age(lookup: Lookup, key: CacheKey, policy: Policy, *, encrypted: bool) -> CacheEntry | None:
    for at in lookup.addresses(key):
        entry = lookup.open(at, key, policy=policy, encrypted=encrypted)
        if isinstance(entry, CacheEntry):
            return entry
    return None


def _explain_file(lookup: Lookup, ring: KeyRing | None, name: str) -> Explanation | None:
    """Explain an existing entry: whether it would be a hit now, and the nearest entry when it was stored."""
    found = _file_of(lookup, ring, name)
    if found is None:
        return None
    if isinstance(found, Miss):
        about = subject(None, None, name)
        sentence = miss_sentence(found, lookup.config.policy("", ""), lookup.config)
        return Explanation(None, None, found.reason, f"{about}: {sentence}", name)
    entry = found.entry
    policy = lookup.config.policy(entry.provider, entry.model_id)
    stale = lookup.why_stale(entry.timestamp, entry.ttl, policy, policy.mode)
    about = subject(entry.provider, entry.model_id, name)
    if stale is None:
        sentence = f"it is in the cache, stored {moment(entry.timestamp)}."
    elif stale is MissReason.EXPIRED:
        sentence = age_sentence(entry, policy, lookup.config, lookup.directory.clock())
    else:
        sentence = miss_sentence(Miss(stale), policy, lookup.config)
    explanation = Explanation(entry.provider, entry.model_id, stale, f"{about}: {sentence}", name)
    target = Target(entry, found.encrypted, before=entry.timestamp)
    return with_nearest(explanation, target, lookup, ring)


def _file_of(lookup: Lookup, ring: KeyRing | None, name: str) -> Candidate | Miss | None:
    """Return the entry with a name, the miss if it cannot be read, or None if there is none."""
    try:
        for at in lookup.directory.store.find(name):
            data = lookup.directory.store.read(at, note_use=False)
            if isinstance(data, MissReason):
                return Miss(data)
            entry = decode(data, ring=ring)
            if isinstance(entry, CacheEntry):
                return Candidate(entry, name, at.name != entry_name(entry.key))
            return unusable(entry, data)
    except StoreError:
        return Miss(MissReason.UNREADABLE)
    return None


def _stored_form(key: CacheKey, policy: Policy, request: dict[str, Any] | None) -> CacheEntry:
    """Return the entry that would store a request, with values in the form that a stored entry has when it is read."""
    entry = CacheEntry(
        key,
        key.provider,
        key.model_id,
        dict(_NO_RESPONSE),
        0.0,
        None,
        digests=key.digests,
        request=request,
        namespace=policy.namespace,
    )
    back = decode(encode(entry))
    return back if isinstance(back, CacheEntry) else entry
