"""Embeddings: one entry for each text. Missing texts are sent together, in as few calls as the provider accepts."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from spark_cache.calls.answer import Recorded
from spark_cache.calls.background import in_background
from spark_cache.calls.caller import flight_key
from spark_cache.calls.handled import handled
from spark_cache.core.plan import Hit
from spark_cache.providers.response import ModelResponse, to_stored
from spark_cache.providers.vectors import packed, shared_out
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from spark_cache.calls.caller import Caller, FlightKey
    from spark_cache.core.plan import Plan
    from spark_cache.core.single_flight import Flight
    from spark_cache.manager.calls import Calls
    from spark_cache.types import Mode, Request

    Answers = dict[FlightKey, dict[str, Any]]
    """The responses of texts, as they are stored."""

__all__ = ["Embedder"]

Vector = TypeVar("Vector")


class _Text(NamedTuple):
    """A text, its request, and what its call may do with the cache."""

    text: str
    request: Request
    plan: Plan


class Embedder(Generic[Vector]):
    """One call that embeds texts.

    Args:
        caller: Calls the provider through the cache.
        unpack: Makes a vector of its stored form; None if that is not valid.
    """

    def __init__(self, caller: Caller, unpack: Callable[[Any], Vector | None]) -> None:
        self._caller = caller
        self._provider = caller.provider
        self._calls: Calls = caller.calls
        self._unpack = unpack

    async def embed(
        self, texts: Sequence[str], requests: Sequence[Request], *, mode: Mode | None, sensitive: bool | None
    ) -> dict[str, Vector]:
        """Return the vector of each text.

        Args:
            texts: The texts.
            requests: One request for each text.
            mode: The mode that the call asks for.
            sensitive: Whether the texts are sensitive.
        """
        calls = self._calls
        wanted: dict[str, _Text] = {}
        for text, request in zip(texts, requests, strict=True):
            if text not in wanted:
                wanted[text] = _Text(text, request, calls.plan(request, mode=mode, sensitive=sensitive))
        found = calls.look_up_many([one.plan for one in wanted.values()], "embedding", parse=self._parse)
        vectors: dict[str, Vector] = {}
        missing: list[_Text] = []
        for one, result in zip(wanted.values(), found, strict=True):
            if isinstance(result, Hit):
                vectors[one.text] = result.answer
                continue
            self._caller.require_hit_in_replay(calls, one.request, one.plan, result)
            if one.plan.key is None and result.reason is not MissReason.DISABLED:
                calls.note_bypass(one.plan, one.request, result.reason.value)
            missing.append(one)
        return vectors | await self._fetch(missing) if missing else vectors

    async def _fetch(self, missing: Sequence[_Text]) -> dict[str, Vector]:
        """Get vectors from the provider or from equal running calls."""
        calls = self._calls
        keyed = {flight_key(one.plan): one for one in missing if one.plan.key is not None}
        asked: set[FlightKey] = set()

        async def ask(flight: Flight, keys: Sequence[FlightKey]) -> Answers:
            asked.update(keys)
            batches = self._batches([keyed[key] for key in keys])
            done = await _all(self._ask_and_store(flight, batch) for batch in batches)
            return {key: answer for answers in done for key, answer in answers.items()}

        answers, _ = await calls.single_flight.share(
            list(keyed), ask, client=self._caller, timeout_seconds=calls.lock_timeout_seconds
        )
        for key in answers.keys() - asked:
            calls.note_shared(keyed[key].plan, answers[key])
        vectors = {one.text: self._vector(answers[key]) for key, one in keyed.items()}
        without_key = [one for one in missing if one.plan.key is None]
        done = await _all(self._ask(batch) for batch in self._batches(without_key))
        received = (answer for answers in done for answer in answers)
        return vectors | {
            one.text: self._vector(answer) for one, answer in zip(without_key, received, strict=True)
        }

    async def _ask_and_store(self, flight: Flight, texts: Sequence[_Text]) -> Answers:
        """Call the provider for a batch under a lease and store its vectors. ``Caller`` does the same for one request."""
        calls = self._calls
        plans = [one.plan for one in texts]
        async with calls.lease(plans, flight) as has_waited:
            # An equal call in another thread or process may have ended since the lookup.
            found = calls.look_again(plans, parse=self._parse)
            answers = {
                flight_key(plan): hit.response
                for plan, hit in zip(plans, found, strict=True)
                if isinstance(hit, Hit)
            }
            missing = [one for one in texts if flight_key(one.plan) not in answers]
            if not missing:
                return answers
            flight.mark_started()
            if has_waited:
                calls.single_flight.release_others(flight)
            new = await self._ask(missing)
            return answers | {flight_key(one.plan): answer for one, answer in zip(missing, new, strict=True)}

    async def _ask(self, texts: Sequence[_Text]) -> list[dict[str, Any]]:
        """Call the provider for a batch, and store what may be stored."""
        sent = [one.text for one in texts]
        started = perf_counter()
        with handled():
            vectors, usage = await self._provider.embed(texts[0].request, sent)
        seconds = (perf_counter() - started) / len(texts)
        if len(vectors) != len(texts):
            raise ValueError(f"{self._provider.name} returned {len(vectors)} vectors for {len(texts)} texts")
        shares = shared_out(usage, [len(text) for text in sent])
        answers: list[dict[str, Any]] = []
        to_store: list[tuple[Plan, Request, dict[str, Any]]] = []
        for one, vector, share in zip(texts, vectors, shares, strict=True):
            response = ModelResponse("", "end_turn", share, raw=packed(vector), latency_seconds=seconds)
            recorded, stored = self._caller.judge(self._calls, one.request, one.plan, Recorded(response))
            if stored is not None:
                to_store.append((one.plan, one.request, stored))
            answers.append(to_stored(recorded.response) if stored is None else stored)
        if to_store:
            await in_background(partial(self._calls.store, to_store))
        return answers

    def _batches(self, texts: Sequence[_Text]) -> Iterator[list[_Text]]:
        """Yield texts in batches that the provider accepts. A text that is too long for any batch is one of its own."""
        if not texts:
            return
        most, most_characters = (
            self._provider.embed_batch(texts[0].request.model_id),
            self._provider.embed_characters,
        )
        batch: list[_Text] = []
        characters = 0
        for one in texts:
            is_too_long = most_characters is not None and characters + len(one.text) > most_characters
            if batch and (len(batch) == most or is_too_long):
                yield batch
                batch, characters = [], 0
            batch.append(one)
            characters += len(one.text)
        yield batch

    def _parse(self, stored: dict[str, Any]) -> Vector | None:
        return self._unpack(stored.get("raw"))

    def _vector(self, answer: dict[str, Any]) -> Vector:
        vector = self._parse(answer)
        if vector is None:
            raise ValueError(f"{self._provider.name} returned something else than a vector of numbers")
        return vector


Answer = TypeVar("Answer")


async def _all(calls: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Make calls at the same time and return their results. If one fails, cancel the others and wait for their end."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
