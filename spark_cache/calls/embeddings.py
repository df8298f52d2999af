"""Embeddings: an entry for each text, and only those that are missing go out, as many in one call as the provider takes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.calls.batcher import Batches
from spark_cache.calls.call import AnswerSpec, CachedCalls, Recorded, flight_key
from spark_cache.core.plan import Hit
from spark_cache.providers.copies import own_request
from spark_cache.providers.response import ModelResponse, to_stored
from spark_cache.providers.vectors import packed, shared_out, unpacked
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from spark_cache.core.plan import Plan
    from spark_cache.types import Mode, Request

__all__ = ["EmbeddedTexts"]


class _Text(NamedTuple):
    """One text that goes out: what is asked, and what its call may do with the cache."""

    request: Request
    plan: Plan


class EmbeddedTexts(CachedCalls):
    """Calls that embed texts."""

    async def _embedded(
        self, requests: Sequence[Request], *, mode: Mode | None, sensitive: bool | None
    ) -> list[list[float]]:
        """The vectors of texts, a request for each, in their order; equal ones are asked once."""
        vectors: dict[str, list[float]] = {}
        missing: dict[str, asyncio.Task[list[float]]] = {}
        batches = Batches(
            self._embed_and_store,
            most=self.embed_batch,
            most_characters=self.embed_characters,
            length=lambda one: len(one.request.messages),
        )
        try:
            for request in requests:
                text = request.messages
                if text not in vectors and text not in missing:
                    plan = self._plan(request, mode, sensitive)
                    found = self._look_up(request, plan, _WISH)
                    if isinstance(found, Hit):
                        vectors[text] = found.answer
                        continue
                    if plan.key is None and found.reason is not MissReason.DISABLED:
                        self._manager.note_bypass(plan, request, found.reason.value)
                    one = _Text(own_request(request), plan)
                    missing[text] = asyncio.create_task(self._missing(one, batches))
            if missing:
                await asyncio.wait(missing.values(), return_when=asyncio.FIRST_EXCEPTION)
                vectors |= {text: call.result() for text, call in missing.items() if call.done()}
        finally:
            await _ended(missing.values())
        # A list of its own for a text that comes again.
        return [list(vectors[request.messages]) for request in requests]

    async def _missing(self, one: _Text, batches: Batches[_Text, Recorded]) -> list[float]:
        """The vector of a text that the cache does not have."""
        manager = self._manager
        if one.plan.key is None:
            return _vector(await batches.join(one))
        asked = False

        async def ask() -> Recorded:
            nonlocal asked
            asked = True
            return await batches.join(one)

        recorded = await manager.single_flight(one.plan).share(
            flight_key(one.plan), ask, client=self, timeout_seconds=manager.config.lock_timeout_seconds
        )
        if not asked:
            manager.note_shared(one.plan, to_stored(recorded.response))
        return _vector(recorded)

    async def _embed_and_store(self, texts: Sequence[_Text]) -> Sequence[Recorded]:
        """Ask for a batch and store what comes; see ``_ask_and_store``, which does it for one request."""
        manager = self._manager
        kept: dict[int, Recorded] = {}
        async with AsyncExitStack() as key_locks:
            # In one order everywhere, so that no two processes wait for each other.
            for plan in sorted((one.plan for one in texts if one.plan.key is not None), key=_name):
                await key_locks.enter_async_context(manager.lease(plan))
            for index, one in enumerate(texts):
                found = manager.look_again(one.plan, read=self._reader(one.plan, _WISH.parse, whole=True))
                if isinstance(found, Hit):
                    kept[index] = found.answer
                elif one.plan.key is not None:
                    manager.single_flight(one.plan).mark_started(flight_key(one.plan))
            asked = [one for index, one in enumerate(texts) if index not in kept]
            fresh = iter(await self._ask_for_vectors(asked) if asked else ())
            return [kept[index] if index in kept else next(fresh) for index in range(len(texts))]

    async def _ask_for_vectors(self, texts: Sequence[_Text]) -> Sequence[Recorded]:
        asked = [one.request.messages for one in texts]
        started = perf_counter()
        vectors, usage = await self._embed(asked, texts[0].request.parameters)
        seconds = (perf_counter() - started) / len(texts)
        if len(vectors) != len(texts):
            raise ValueError(f"{self.provider} gave {len(vectors)} vectors for {len(texts)} texts")
        shares = shared_out(usage, [len(text) for text in asked])
        responses = (
            ModelResponse("", "end_turn", share, raw=packed(vector), latency_seconds=seconds)
            for vector, share in zip(vectors, shares, strict=True)
        )
        return [
            self._stored(one.request, one.plan, Recorded(response))
            for one, response in zip(texts, responses, strict=True)
        ]


def _vector(recorded: Recorded) -> list[float]:
    return unpacked(recorded.response.raw) or []


_WISH = AnswerSpec(parse=lambda recorded: unpacked(recorded.response.raw))


def _name(plan: Plan) -> str:
    return plan.name or ""


async def _ended(calls: Collection[asyncio.Task[list[float]]]) -> None:
    """Take along the calls that nobody waits for any more, and see them end."""
    open_calls = [call for call in calls if not call.done()]
    for call in open_calls:
        call.cancel()
    if open_calls:
        await asyncio.wait(open_calls)
    for call in calls:
        if not call.cancelled():
            # Looked at, so that nobody is told of an exception beside the one that is raised.
            call.exception()
