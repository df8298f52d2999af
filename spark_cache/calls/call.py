"""The one way of every call: look up, ask, decide what may be stored, store."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_cache.core.plan import Hit, Miss, Plan
from spark_cache.errors import CacheMissError
from spark_cache.keys import readable_request
from spark_cache.providers.base import ProviderHooks
from spark_cache.providers.copies import copied, own_request, own_response
from spark_cache.providers.response import ModelResponse, from_stored, to_stored
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spark_cache.manager import CacheManager
    from spark_cache.types import CacheKey, Request

__all__ = ["AnswerSpec", "CachedCalls", "Recorded", "StreamBrokenOffError", "flight_key"]

_COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""The reasons to stop after which an answer is whole; one cut at the token limit is stored only on request."""

_UNFIT = {"max_tokens": "truncated", "refusal": "refused", "content_filter": "refused"}


class StreamBrokenOffError(Exception):
    """A stream ended without an error and before the answer did. Never leaves the models."""


class Recorded(NamedTuple):
    """An answer, and the events it came in: pairs of milliseconds since the call and a raw event; None where it came in one piece."""

    response: ModelResponse
    events: list[list[Any]] | None = None


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """How a caller wants its answer.

    Attributes:
        finish: Makes what the caller gets of an answer that was kept, or says why that one will not do.
        check: Raises what is wrong with a fresh answer; one that is wrong is not stored.
        hear: Told every raw event of a stream as it arrives; None asks for an answer in one piece.
    """

    parse: Callable[[Recorded], Any]
    check: Callable[[ModelResponse], object] | None = None
    on_event: Callable[[Any], None] | None = None


class CachedCalls(ProviderHooks):
    """Calls of a provider's model that go through the cache."""

    model_id: str
    _manager: CacheManager
    _should_cache: Callable[[Request, ModelResponse], bool] | None

    def _plan(self, request: Request, mode: Mode | None, sensitive: bool | None) -> Plan:
        plan = self._manager.plan(request, mode=mode, sensitive=sensitive)
        if plan.key is None or (state := self._state_of(request)) is None:
            return plan
        return Plan(plan.policy, plan.mode, plan.encrypted, refusal=Miss(MissReason.STATEFUL, state))

    def _look_up(self, request: Request, plan: Plan, spec: AnswerSpec) -> Hit | Miss:
        """What the cache has for a planned call; its ``answer`` is what the wish makes of it.

        Raises:
            CacheMissError: It has nothing, in replay mode.
        """
        found = self._manager.lookup(plan, request.operation, read=self._reader(plan, spec.parse))
        if isinstance(found, Miss) and plan.mode is Mode.REPLAY:
            why = self._manager.explain(request, mode=plan.mode, sensitive=plan.encrypted, missed=found)
            raise CacheMissError(
                found.reason.value, self.provider, self.model_id, plan.name, found.detail, why
            )
        return found

    def _usual_hit(
        self,
        request: Request,
        read: Callable[[dict[str, Any], CacheKey, CacheManager | None], Any],
        *,
        mode: Mode | None,
        sensitive: bool | None,
    ) -> Any:
        """The answer of :meth:`_answer` where a hit of the usual kind gives it; None where it takes more to tell."""
        if mode is not None or sensitive or self._state_of(request) is not None:
            return None
        return self._manager.usual_hit(request, read)

    async def _answer(
        self, request: Request, spec: AnswerSpec, *, mode: Mode | None, sensitive: bool | None
    ) -> Any:
        plan = self._plan(request, mode, sensitive)
        found = self._look_up(request, plan, spec)
        if isinstance(found, Hit):
            return found.answer
        return spec.parse(await self._fetch(request, plan, found, spec))

    async def _fetch(self, request: Request, plan: Plan, missed: Miss, spec: AnswerSpec) -> Recorded:
        """Have the answer that the cache does not have: from the provider, or from an equal call that is under way."""
        manager = self._manager
        if plan.key is None:
            if missed.reason is not MissReason.DISABLED:
                manager.note_bypass(plan, request, missed.reason.value)
            return await self._ask(request, spec)
        asked = False
        # From here on others run, and may go on with the messages that were just keyed.
        request = own_request(request)

        async def ask() -> Recorded:
            nonlocal asked
            asked = True
            return await self._ask_and_store(request, plan, spec)

        try:
            recorded = await manager.single_flight(plan).share(
                flight_key(plan), ask, client=self, timeout_seconds=manager.config.lock_timeout_seconds
            )
        except StreamBrokenOffError:
            if asked:
                raise
            return await ask()
        # Each gets a copy, also who asked: it may change its own before the others have theirs.
        recorded = Recorded(own_response(recorded.response), copied(recorded.events))
        if asked:
            return recorded
        if isinstance(spec.parse(recorded), MissReason):
            # Another kind of call was under way, and its answer does not do for this one.
            return await ask()
        manager.note_shared(plan, to_stored(recorded.response))
        return recorded._replace(response=replace(recorded.response, shared=True))

    async def _ask(self, request: Request, spec: AnswerSpec) -> Recorded:
        started = perf_counter()
        if spec.on_event is None:
            raw, events = await self._call(request), None
        else:
            events = []
            async with aclosing(self._stream(request)) as arriving:
                async for event in arriving:
                    events.append([round((perf_counter() - started) * 1000, 3), event])
                    spec.on_event(event)
            raw = self._gather([event for _, event in events])
            if raw is None:
                raise StreamBrokenOffError
        response = replace(self._read(raw), latency_seconds=perf_counter() - started)
        if spec.check is not None:
            spec.check(response)
        return Recorded(response, events)

    # -- the two places where the provider is asked and its answer stored: one request, and a batch of them ----------------------

    async def _ask_and_store(self, request: Request, plan: Plan, spec: AnswerSpec) -> Recorded:
        manager = self._manager
        async with manager.lease(plan):
            # An equal call in another thread or process may have ended between the look-up and now.
            found = manager.look_again(plan, read=self._reader(plan, spec.parse, whole=True))
            if isinstance(found, Hit):
                hit: Recorded = found.answer
                return hit
            manager.single_flight(plan).mark_started(flight_key(plan))
            try:
                recorded = await self._ask(request, spec)
            except StreamBrokenOffError:
                manager.note_bypass(plan, request, "incomplete")
                raise
            return self._stored(request, plan, recorded)

    def _stored(self, request: Request, plan: Plan, recorded: Recorded) -> Recorded:
        """Store a fresh answer, if it may be; the same one, which now knows its key."""
        manager = self._manager
        origin = manager if plan.mode.writes else None
        response = replace(recorded.response, cache_key=plan.key, origin=origin)
        embedded = request.operation == "embedding"
        reasons = (response.stop_reason,) if embedded else self._stop_reasons(response)
        unfit = _unfit(reasons, plan) or self._objection(request, plan, response)
        if unfit is None:
            stored = to_stored(response)
            if recorded.events is not None:
                stored["events"] = recorded.events
            manager.store(plan, readable_request(request), stored, request.operation)
        else:
            manager.note_bypass(plan, request, unfit)
        return Recorded(response, recorded.events)

    def _objection(self, request: Request, plan: Plan, response: ModelResponse) -> str | None:
        """Why the caller's own hook does not want an answer stored; None when it has no objection."""
        if self._should_cache is None or plan.key is None or not plan.mode.writes:
            return None
        try:
            return None if self._should_cache(request, response) else "should_cache"
        except Exception as error:  # noqa: BLE001 - the answer is there and paid for, whatever the caller's hook raises
            self._manager.warn("ask should_cache", f"it raised {type(error).__name__}")
            return "should_cache"

    def _reader(
        self, plan: Plan, parse: Callable[[Recorded], Any], *, whole: bool = False
    ) -> Callable[[dict[str, Any]], Any]:
        """Makes the caller's answer out of a stored response; as a whole, the recorded one that would do for it."""
        key, origin = plan.key, self._manager if plan.mode.writes else None

        def read(stored: dict[str, Any]) -> Any:
            response = None if key is None else from_stored(stored, key, origin)
            if response is None:
                return None
            recorded = Recorded(response, stored.get("events"))
            finished = parse(recorded)
            if not whole or finished is None or isinstance(finished, MissReason):
                return finished
            return recorded

        return read


def flight_key(plan: Plan) -> tuple[CacheKey | None, bool]:
    """What makes two calls one: a call that stores its answer does not do for one that may not."""
    return plan.key, plan.mode.writes


def _unfit(stop_reasons: Sequence[str | None], plan: Plan) -> str | None:
    """Why a response is not stored: what is wrong with the first of its answers that may not be; None when all may."""
    fit = _COMPLETE | {"max_tokens"} if plan.policy.store_truncated else _COMPLETE
    for reason in stop_reasons:
        if reason not in fit:
            return _UNFIT.get(reason or "", "incomplete")
    return None if stop_reasons else "incomplete"
