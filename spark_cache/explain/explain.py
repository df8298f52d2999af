"""A call, a key or a remembered miss -> its explanation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.core.plan import Hit, Miss, must_encrypt, refusal_of
from spark_cache.entries import CacheEntry, decode, encode
from spark_cache.errors import StoreError
from spark_cache.explain.difference import Explanation
from spark_cache.explain.messages import age_sentence, miss_sentence, moment, removal_sentence, subject
from spark_cache.explain.nearest import Candidate
from spark_cache.explain.search import Question, with_nearest
from spark_cache.keys import readable_request
from spark_cache.stores import entry_name
from spark_cache.types import CacheKey, MissReason, Mode, Request

if TYPE_CHECKING:
    from spark_cache.config import Policy
    from spark_cache.core.plan import Plan
    from spark_cache.core.write import EntryStore
    from spark_cache.entries.keyring import KeyRing
    from spark_cache.savings import MissNote

__all__ = ["explain_call", "explain_miss", "explain_name"]

_NO_ANSWER: dict[str, Any] = {"content": None, "stop_reason": None, "usage": None}


class _Call(NamedTuple):
    """What a call was planned with."""

    key: CacheKey
    policy: Policy
    mode: Mode
    encrypted: bool


def explain_call(
    place: EntryStore, ring: KeyRing | None, plan: Plan, request: Request, missed: Miss | None = None
) -> Explanation:
    """Explain a call, as it was answered or as it would be answered now.

    Args:
        place: The entries.
        ring: The keys at hand.
        plan: The call.
        request: What it asks.
        missed: What it came to; None looks it up.
    """
    refused = plan.refusal if missed is None else missed
    if plan.key is None:
        about = subject(request.provider, request.model_id, None)
        refused = refused or Miss(MissReason.BYPASSED)
        sentence = miss_sentence(refused, plan.policy, place.config)
        return Explanation(request.provider, request.model_id, refused.reason, f"{about}: {sentence}")
    stored = readable_request(request) if plan.policy.store_requests else None
    call = _Call(plan.key, plan.policy, plan.mode, plan.encrypted)
    return _explain_key(place, ring, call, stored, missed)


def explain_name(place: EntryStore, ring: KeyRing | None, key: str) -> Explanation:
    """Explain a key: of a request, of an entry that is there, or of one that was missed or removed.

    Args:
        place: The entries.
        ring: The keys at hand.
        key: The key, or the name of an entry's file.
    """
    if isinstance(key, CacheKey):
        policy = place.config.policy(key.provider, key.model_id)
        encrypted = must_encrypt(policy, sensitive=False)
        refusal = refusal_of(
            Request(key.provider, key.model_id, None),
            policy,
            None,
            encrypted=encrypted,
            can_encrypt=ring is not None and policy.encryption != "off",
        )
        if refusal is None:
            return _explain_key(place, ring, _Call(key, policy, policy.mode, encrypted), None, None)
        about = subject(key.provider, key.model_id, None)
        sentence = miss_sentence(refusal, policy, place.config)
        return Explanation(key.provider, key.model_id, refusal.reason, f"{about}: {sentence}")
    names = (*(() if ring is None else ring.names(key)), entry_name(key))
    for name in names:
        found = _explain_file(place, ring, name)
        if found is not None:
            return found
    for name in names:
        note = next(place.directory.miss_log.misses(name), None)
        if note is not None:
            return explain_miss(place, ring, note)
    removal = next(filter(None, map(place.directory.miss_log.removal, names)), None)
    sentence = (
        "no entry has this name, and none is remembered." if removal is None else removal_sentence(removal)
    )
    about = subject(None, None, names[-1])
    return Explanation(None, None, MissReason.ABSENT, f"{about}: {sentence}", names[-1])


def explain_miss(place: EntryStore, ring: KeyRing | None, note: MissNote) -> Explanation:
    """Explain a miss that is remembered. Where its answer was stored since, the request is known from there.

    Args:
        place: The entries.
        ring: The keys at hand.
        note: The miss.
    """
    about = subject(note.provider, note.model, note.name)
    policy = place.config.policy(note.provider, note.model)
    reason = MissReason(note.reason) if note.reason in MissReason.__members__.values() else None
    if reason is None:
        sentence = f"missed on {moment(note.at)}: {note.reason}."
    else:
        sentence = f"missed on {moment(note.at)}: {miss_sentence(Miss(reason), policy, place.config)}"
    explanation = Explanation(note.provider, note.model, reason, f"{about}: {sentence}", note.name)
    if reason is not MissReason.ABSENT:
        return explanation
    stored = _file_of(place, ring, note.name)
    if isinstance(stored, Candidate):
        question = Question(stored.entry, stored.encrypted, before=stored.entry.timestamp)
    elif note.digests:
        asked = CacheEntry(
            note.name, note.provider, note.model, dict(_NO_ANSWER), note.at, None, digests=note.digests
        )
        question = Question(asked, redacted=False, before=note.at)
    else:
        unknown = "the request was to be encrypted, and nothing of it was kept to compare."
        return replace(explanation, notes=(unknown,))
    return with_nearest(explanation, question, place, ring)


def _explain_key(
    place: EntryStore,
    ring: KeyRing | None,
    call: _Call,
    request: dict[str, Any] | None,
    missed: Miss | None,
) -> Explanation:
    key, policy, mode, encrypted = call
    name = place.name(key, encrypted=encrypted)
    found: Hit | Miss
    if missed is not None:
        found = missed
    elif not mode.reads:
        found = Miss(MissReason.BYPASSED)
    else:
        # A look that counts as no use, in a mode that judges ages like the one that was asked for.
        looking = Mode.REPLAY if mode is Mode.REPLAY else Mode.READ_ONLY
        found, _ = place.find(key, policy, looking, encrypted=encrypted)
    about = subject(key.provider, key.model_id, name)
    if isinstance(found, Hit):
        sentence = f"its answer is in the cache, stored {moment(found.timestamp)}."
        return Explanation(key.provider, key.model_id, None, f"{about}: {sentence}", name)
    sentence = miss_sentence(found, policy, place.config)
    if found.reason is MissReason.EXPIRED:
        entry = _any_age(place, key, policy, encrypted=encrypted)
        if entry is not None:
            sentence = age_sentence(entry, policy, place.config, place.directory.clock())
    explanation = Explanation(key.provider, key.model_id, found.reason, f"{about}: {sentence}", name)
    if found.reason is not MissReason.ABSENT:
        return explanation
    removal = place.directory.miss_log.removal(name)
    if removal is not None:
        return replace(explanation, summary=f"{about}: {sentence} {removal_sentence(removal)}")
    return with_nearest(explanation, Question(_stored_form(key, policy, request), encrypted), place, ring)


def _any_age(place: EntryStore, key: CacheKey, policy: Policy, *, encrypted: bool) -> CacheEntry | None:
    for at in place.addresses(key):
        entry = place.open(at, key, policy=policy, encrypted=encrypted)
        if isinstance(entry, CacheEntry):
            return entry
    return None


def _explain_file(place: EntryStore, ring: KeyRing | None, name: str) -> Explanation | None:
    """Explain an entry that is there: how it would be judged now, and what it was near to when it was stored."""
    found = _file_of(place, ring, name)
    if found is None:
        return None
    if isinstance(found, MissReason):
        about = subject(None, None, name)
        sentence = miss_sentence(Miss(found), place.config.policy("", ""), place.config)
        return Explanation(None, None, found, f"{about}: {sentence}", name)
    entry = found.entry
    policy = place.config.policy(entry.provider, entry.model_id)
    judged = place.fresh(entry, policy, policy.mode)
    about = subject(entry.provider, entry.model_id, name)
    if isinstance(judged, Hit):
        sentence = f"it is in the cache, stored {moment(entry.timestamp)}."
    elif judged.reason is MissReason.EXPIRED:
        sentence = age_sentence(entry, policy, place.config, place.directory.clock())
    else:
        sentence = miss_sentence(judged, policy, place.config)
    reason = None if isinstance(judged, Hit) else judged.reason
    explanation = Explanation(entry.provider, entry.model_id, reason, f"{about}: {sentence}", name)
    question = Question(entry, found.encrypted, before=entry.timestamp)
    return with_nearest(explanation, question, place, ring)


def _file_of(place: EntryStore, ring: KeyRing | None, name: str) -> Candidate | MissReason | None:
    """The entry whose file has a name; why it cannot be read, or None where there is none."""
    try:
        for at in place.directory.store.find(name):
            data = place.directory.store.read(at, note_use=False)
            entry = decode(data, ring=ring) if isinstance(data, bytes) else data
            if isinstance(entry, CacheEntry):
                return Candidate(entry, name, at.name != entry_name(entry.key))
            return entry
    except StoreError:
        return MissReason.UNREADABLE
    return None


def _stored_form(key: CacheKey, policy: Policy, request: dict[str, Any] | None) -> CacheEntry:
    """A request as the entry that it would be stored as: its values in the form that entries give back."""
    entry = CacheEntry(
        key,
        key.provider,
        key.model_id,
        dict(_NO_ANSWER),
        0.0,
        None,
        digests=key.digests,
        request=request,
        namespace=policy.namespace,
    )
    back = decode(encode(entry))
    return back if isinstance(back, CacheEntry) else entry
