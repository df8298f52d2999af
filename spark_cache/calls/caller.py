"""The way of every call: look up, call the provider, judge the response, store it."""

from __future__ import annotations

from asyncio import get_running_loop
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache.calls.answer import TEXT, Recorded, StreamBrokenOffError
from spark_cache.calls.background import in_background
from spark_cache.calls.handled import handled
from spark_cache.calls.judge import disagreement, why_not_stored
from spark_cache.core.plan import Hit, Miss
from spark_cache.core.single_flight import Flight
from spark_cache.errors import CacheMissError
from spark_cache.manager import CacheManager
from spark_cache.providers.json_values import copied
from spark_cache.providers.response import ModelResponse, from_stored, to_stored
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.calls.answer import AnswerSpec
    from spark_cache.core.plan import Plan
    from spark_cache.manager.calls import Calls
    from spark_cache.providers.base import Provider
    from spark_cache.types import CacheKey, Request

__all__ = ["Caller", "FlightKey", "flight_key"]


class Caller:
    """Calls a provider through the cache.

    Args:
        provider: The provider.
        manager: The manager of the cache. None if code turns the cache off: its settings are read with the first call.
        should_cache: The caller's hook that decides whether a new response is stored.
        client: Who shares the error of a running call; None if only this object does.
    """

    def __init__(
        self,
        provider: Provider,
        manager: CacheManager | None,
        should_cache: Callable[[Request, ModelResponse], bool] | None,
        *,
        client: object | None = None,
    ) -> None:
        self.provider = provider
        self._client = self if client is None else client
        self._manager = manager
        self._should_cache = should_cache

    def flush(self) -> None:
        """Write what the cache holds in memory, if it was used."""
        if self._manager is not None:
            self._manager.flush()

    async def answer(
        self, request: Request, spec: AnswerSpec, *, mode: Mode | None, sensitive: bool | None
    ) -> Any:
        """Answer a request from the cache or the provider.

        Args:
            request: The request.
            spec: What the caller wants.
            mode: The mode that the call asks for.
            sensitive: Whether the request is sensitive.
        """
        calls = self.calls
        plan = calls.plan(request, mode=mode, sensitive=sensitive)
        found = self.look_up(calls, request, plan, spec)
        if isinstance(found, Hit):
            return found.answer
        return spec.parse(await self.fetch(calls, request, plan, found, spec))

    async def text(self, request: Request, *, mode: Mode | None, sensitive: bool | None) -> ModelResponse:
        """Answer a request for text, on the fast path if possible.

        Args:
            request: The request.
            mode: The mode that the call asks for.
            sensitive: Whether the request is sensitive.
        """
        if mode is None and not sensitive:
            calls = self.calls
            found = calls.try_fast_hit(request, self._text_of)
            if isinstance(found, Hit):
                hit: ModelResponse = found.answer
                return hit
            if found is not None:
                plan, miss = found
                self.require_hit_in_replay(calls, request, plan, miss)
                return (await self.fetch(calls, request, plan, miss, TEXT)).response
        text: ModelResponse = await self.answer(request, TEXT, mode=mode, sensitive=sensitive)
        return text

    def _text_of(self, stored: dict[str, Any], key: CacheKey, writes: bool) -> Any:
        response = from_stored(stored, key, self.manager if writes else None)
        if response is None or "events" not in stored:
            return response
        return TEXT.parse(Recorded(response, stored["events"]))

    @property
    def manager(self) -> CacheManager:
        """The manager of the cache."""
        if self._manager is None:
            self._manager = CacheManager.shared_off()
        return self._manager

    @property
    def calls(self) -> Calls:
        """The cache of a new call, which the call keeps until it ends, even if the manager is reloaded."""
        return self.manager.calls

    def look_up(self, calls: Calls, request: Request, plan: Plan, spec: AnswerSpec) -> Hit | Miss:
        """Look up a planned call; the ``answer`` of a hit is what the caller wants.

        Args:
            calls: The cache of the call.
            request: The request.
            plan: What the call may do with the cache.
            spec: What the caller wants.

        Raises:
            CacheMissError: The call misses in replay mode.
        """
        found = calls.look_up(plan, request.operation, parse=self._parser(plan, spec.parse))
        if isinstance(found, Miss):
            self.require_hit_in_replay(calls, request, plan, found)
        return found

    def require_hit_in_replay(self, calls: Calls, request: Request, plan: Plan, missed: Miss) -> None:
        """Raise if a call that misses must not be sent to the provider.

        Args:
            calls: The cache of the call.
            request: The request.
            plan: What the call may do with the cache.
            missed: Why the cache does not have it.

        Raises:
            CacheMissError: The call is in replay mode.
        """
        if plan.mode is Mode.REPLAY:
            why = calls.explain(request, mode=plan.mode, sensitive=plan.encrypted, missed=missed)
            name = calls.entry_name(plan)
            raise CacheMissError(
                missed.reason.value, request.provider, request.model_id, name, missed.detail, why
            )

    async def fetch(
        self, calls: Calls, request: Request, plan: Plan, missed: Miss, spec: AnswerSpec
    ) -> Recorded:
        """Get a response that the cache does not have, from the provider or from an equal running call.

        Args:
            calls: The cache of the call.
            request: The request.
            plan: What the call may do with the cache.
            missed: Why the cache does not have it.
            spec: What the caller wants.
        """
        if plan.key is None:
            if missed.reason is not MissReason.DISABLED:
                calls.note_bypass(plan, request, missed.reason.value)
            return await self._ask(request, spec)
        key = flight_key(plan)
        asked = False

        async def ask(flight: Flight, _: object = None) -> dict[FlightKey, Recorded]:
            nonlocal asked
            asked = True
            return {key: await self._ask_and_store(flight, calls, request, plan, spec)}

        try:
            results, shared = await calls.single_flight.share(
                (key,), ask, client=self._client, timeout_seconds=calls.lock_timeout_seconds
            )
        except Exception as error:
            is_whole = not isinstance(error, StreamBrokenOffError)
            if asked or (is_whole and isinstance(error, self.provider.shared_errors)):
                raise
            # Side by side with others who waited in vain, not one after the other.
            flight = Flight([key], self._client, get_running_loop(), needs_lease=False)
            return (await ask(flight))[key]
        recorded = results[key]
        if shared:
            # Everyone gets a copy, the caller that asked too: it may change its own before the others get theirs.
            recorded = Recorded(_own_response(recorded.response), copied(recorded.events))
        if asked:
            return recorded
        if isinstance(spec.parse(recorded), MissReason):
            # Another kind of call was running, and its response does not serve this one.
            return await self._ask_and_store(None, calls, request, plan, spec)
        calls.note_shared(plan, to_stored(recorded.response))
        return recorded._replace(response=replace(recorded.response, shared=True))

    async def _ask(self, request: Request, spec: AnswerSpec) -> Recorded:
        """Call the provider and read its response."""
        started = perf_counter()
        if spec.on_event is None:
            with handled():
                raw, events = await self.provider.call(request), None
        else:
            events = []
            with handled():
                async with aclosing(self.provider.stream(request)) as arriving:
                    async for event in arriving:
                        events.append([round((perf_counter() - started) * 1000, 3), event])
                        spec.on_event(event)
            raw = self.provider.gather([event for _, event in events])
            if raw is None:
                raise StreamBrokenOffError("incomplete")
        response = replace(self.provider.read(raw), latency_seconds=perf_counter() - started)
        if events is not None:
            place = disagreement(self.provider, response, [event for _, event in events])
            if place is not None:
                raise StreamBrokenOffError("inconsistent", place, Recorded(response, events))
        if spec.validate is not None:
            spec.validate(response)
        return Recorded(response, events)

    async def _ask_and_store(
        self, flight: Flight | None, calls: Calls, request: Request, plan: Plan, spec: AnswerSpec
    ) -> Recorded:
        """Call the provider under a lease and store its response. ``Embedder`` does the same for a batch."""
        async with calls.lease([plan], flight) as has_waited:
            # An equal call in another thread or process may have ended since the lookup.
            (found,) = calls.look_again([plan], parse=self._recorded_parser(plan, spec))
            if isinstance(found, Hit):
                hit: Recorded = found.answer
                return hit
            if flight is not None:
                flight.mark_started()
                if has_waited:
                    calls.single_flight.release_others(flight)
            try:
                recorded = await self._ask(request, spec)
            except StreamBrokenOffError as error:
                await self._store_events(calls, request, plan, error)
                raise
            recorded, stored = self.judge(calls, request, plan, recorded)
            if stored is not None:
                await in_background(partial(calls.store, [(plan, request, stored)]))
            return recorded

    async def _store_events(
        self, calls: Calls, request: Request, plan: Plan, error: StreamBrokenOffError
    ) -> None:
        """Store the events of a stream that do not add up to a response. They serve streams alone."""
        if error.recorded is None:
            calls.note_bypass(plan, request, error.reason)
            return
        # The names in a sensitive response may reveal as much as its values.
        place = "" if plan.encrypted else f", at {error.place}"
        calls.warn_once(
            "add up a stream",
            f"the events of {request.provider}/{request.model_id} say something else than they add up to{place}",
        )
        response, events = error.recorded
        reason = self._why_not_stored(request, plan, response) or self._objection(
            calls, request, plan, response
        )
        if reason is not None:
            calls.note_bypass(plan, request, reason)
            return
        heard = ModelResponse("", latency_seconds=response.latency_seconds)
        stored = {**to_stored(heard), "events": events}
        await in_background(partial(calls.store, [(plan, request, stored)]))

    def judge(
        self, calls: Calls, request: Request, plan: Plan, recorded: Recorded
    ) -> tuple[Recorded, dict[str, Any] | None]:
        """Decide whether a new response may be stored.

        Args:
            calls: The cache of the call.
            request: The request.
            plan: What the call may do with the cache.
            recorded: The response.

        Returns:
            The response with its key, and what is to be stored; None if it may not be.
        """
        response = replace(recorded.response, cache_key=plan.key, origin=self._origin(plan))
        reason = self._why_not_stored(request, plan, response) or self._objection(
            calls, request, plan, response
        )
        if reason is not None:
            calls.note_bypass(plan, request, reason)
            return Recorded(response, recorded.events), None
        stored = to_stored(response)
        if recorded.events is not None:
            stored["events"] = recorded.events
        return Recorded(response, recorded.events), stored

    def _why_not_stored(self, request: Request, plan: Plan, response: ModelResponse) -> str | None:
        """Return what is wrong with a response; None if it may be stored."""
        if request.operation == "embedding":
            return None
        reasons = self.provider.stop_reasons(response)
        reason = why_not_stored(reasons, store_truncated=plan.policy.store_truncated)
        if reason is None and not plan.policy.store_empty and self.provider.is_empty(response):
            return "empty"
        return reason

    def _objection(self, calls: Calls, request: Request, plan: Plan, response: ModelResponse) -> str | None:
        """Return why the caller's hook does not want a response stored; None without an objection."""
        if self._should_cache is None or plan.key is None or not plan.mode.writes:
            return None
        try:
            return None if self._should_cache(request, response) else "should_cache"
        except Exception as error:  # noqa: BLE001 - the response is there and paid for, whatever the hook raises
            calls.warn_once("ask should_cache", f"it raised {type(error).__name__}")
            return "should_cache"

    def _parser(self, plan: Plan, parse: Callable[[Recorded], Any]) -> Callable[[dict[str, Any]], Any]:
        """Return a function that turns a stored response into the caller's answer."""
        key, origin = plan.key, self._origin(plan)

        def parse_stored(stored: dict[str, Any]) -> Any:
            response = None if key is None else from_stored(stored, key, origin)
            return None if response is None else parse(Recorded(response, stored.get("events")))

        return parse_stored

    def _recorded_parser(self, plan: Plan, spec: AnswerSpec) -> Callable[[dict[str, Any]], Any]:
        """Return a function that turns a stored response into a recorded one, if that serves the caller."""

        def serving(recorded: Recorded) -> Any:
            parsed = spec.parse(recorded)
            return parsed if parsed is None or isinstance(parsed, MissReason) else recorded

        return self._parser(plan, serving)

    def _origin(self, plan: Plan) -> CacheManager | None:
        """Return the manager that may remove the entry of a response; None if the call may not write."""
        return self.manager if plan.mode.writes else None


FlightKey = tuple["CacheKey | None", bool]


def flight_key(plan: Plan) -> FlightKey:
    """Return what makes two calls equal: a call that stores its response does not serve one that must not.

    Args:
        plan: What the call may do with the cache.
    """
    return plan.key, plan.mode.writes


def _own_response(response: ModelResponse) -> ModelResponse:
    """Return a response that one caller may change without affecting the others."""
    calls = tuple(replace(call, arguments=copied(call.arguments)) for call in response.tool_calls)
    return replace(response, raw=copied(response.raw), tool_calls=calls)
