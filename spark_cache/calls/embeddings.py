"""Embeddings: one entry for each text. Missing texts are sent together, in as few calls as the provider accepts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.calls.answer import AnswerSpec, Recorded
from spark_cache.calls.background import in_background
from spark_cache.calls.batcher import Batcher
from spark_cache.calls.caller import flight_key
from spark_cache.core.plan import Hit
from spark_cache.providers.response import ModelResponse, to_stored
from spark_cache.providers.vectors import packed, shared_out, unpacked
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from spark_cache.calls.caller import Caller
    from spark_cache.core.plan import Plan
    from spark_cache.manager.calls import Calls
    from spark_cache.types import Mode, Request

__all__ = ["Embedder"]


class _Text(NamedTuple):
    """A text that the cache does not have."""

    text: str
    request: Request
    plan: Plan


class Embedder:
    """One call that embeds texts.

    Args:
        caller: Calls the provider through the cache.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._provider = caller.provider
        self._calls: Calls = caller.calls

    async def embed(
        self, texts: Sequence[str], requests: Sequence[Request], *, mode: Mode | None, sensitive: bool | None
    ) -> list[list[float]]:
        """Return the vectors of texts, in their order. Equal texts are sent once.

        Args:
            texts: The texts.
            requests: One request for each text.
            mode: The mode that the call asks for.
            sensitive: Whether the texts are sensitive.
        """
        if not requests:
            return []
        vectors: dict[str, list[float]] = {}
        missing: dict[str, asyncio.Task[list[float]]] = {}
        batcher = Batcher(
            self._ask_and_store,
            most=self._provider.embed_batch(requests[0].model_id),
            most_characters=self._provider.embed_characters,
            length=lambda one: len(one.text),
        )
        try:
            for text, request in zip(texts, requests, strict=True):
                if text not in vectors and text not in missing:
                    plan = self._calls.plan(request, mode=mode, sensitive=sensitive)
                    found = self._caller.look_up(self._calls, request, plan, _VECTOR)
                    if isinstance(found, Hit):
                        vectors[text] = found.answer
                        continue
                    if plan.key is None and found.reason is not MissReason.DISABLED:
                        self._calls.note_bypass(plan, request, found.reason.value)
                    one = _Text(text, request, plan)
                    missing[text] = asyncio.create_task(self._fetch(one, batcher))
            if missing:
                await asyncio.wait(missing.values(), return_when=asyncio.FIRST_EXCEPTION)
                vectors |= {text: call.result() for text, call in missing.items() if call.done()}
        finally:
            await _end(missing.values())
        # A repeated text gets a list of its own.
        return [list(vectors[text]) for text in texts]

    async def _fetch(self, one: _Text, batcher: Batcher[_Text, Recorded]) -> list[float]:
        """Get a vector from the provider or from an equal running call."""
        calls = self._calls
        if one.plan.key is None:
            return _vector(await batcher.join(one))
        asked = False

        async def ask() -> Recorded:
            nonlocal asked
            asked = True
            return await batcher.join(one)

        recorded, _ = await calls.single_flight.share(
            flight_key(one.plan), ask, client=self._caller, timeout_seconds=calls.lock_timeout_seconds
        )
        if not asked:
            calls.note_shared(one.plan, to_stored(recorded.response))
        return _vector(recorded)

    async def _ask_and_store(self, texts: Sequence[_Text]) -> Sequence[Recorded]:
        """Call the provider for a batch under leases and store its vectors. ``Caller`` does the same for one request."""
        calls = self._calls
        kept: dict[int, Recorded] = {}
        async with AsyncExitStack() as leases:
            # The same order everywhere, so that two processes cannot wait for each other.
            for plan in sorted((one.plan for one in texts if one.plan.key is not None), key=self._entry_name):
                await leases.enter_async_context(calls.lease(plan))
            for index, one in enumerate(texts):
                found = calls.look_again(one.plan, parse=self._caller.recorded_parser(one.plan, _VECTOR))
                if isinstance(found, Hit):
                    kept[index] = found.answer
                elif one.plan.key is not None:
                    calls.single_flight.mark_started(flight_key(one.plan))
            asked = [one for index, one in enumerate(texts) if index not in kept]
            new = iter(await self._ask(asked) if asked else ())
            return [kept[index] if index in kept else next(new) for index in range(len(texts))]

    async def _ask(self, texts: Sequence[_Text]) -> Sequence[Recorded]:
        sent = [one.text for one in texts]
        started = perf_counter()
        vectors, usage = await self._provider.embed(texts[0].request, sent)
        seconds = (perf_counter() - started) / len(texts)
        if len(vectors) != len(texts):
            raise ValueError(f"{self._provider.name} returned {len(vectors)} vectors for {len(texts)} texts")
        shares = shared_out(usage, [len(text) for text in sent])
        responses = (
            ModelResponse("", "end_turn", share, raw=packed(vector), latency_seconds=seconds)
            for vector, share in zip(vectors, shares, strict=True)
        )
        judged = [
            self._caller.judge(self._calls, one.request, one.plan, Recorded(response))
            for one, response in zip(texts, responses, strict=True)
        ]
        to_store = [
            (one, stored) for one, (_, stored) in zip(texts, judged, strict=True) if stored is not None
        ]
        await in_background(
            lambda: [self._calls.store(one.plan, one.request, stored) for one, stored in to_store]
        )
        return [recorded for recorded, _ in judged]

    def _entry_name(self, plan: Plan) -> str:
        return self._calls.entry_name(plan) or ""


def _vector(recorded: Recorded) -> list[float]:
    return unpacked(recorded.response.raw) or []


_VECTOR = AnswerSpec(parse=lambda recorded: unpacked(recorded.response.raw))


async def _end(calls: Collection[asyncio.Task[list[float]]]) -> None:
    """Cancel the calls that nothing waits for any more, and wait for their end."""
    running = [call for call in calls if not call.done()]
    for call in running:
        call.cancel()
    if running:
        await asyncio.wait(running)
    for call in calls:
        if not call.cancelled():
            # Retrieved, so that asyncio does not report an exception beside the one that is raised.
            call.exception()
