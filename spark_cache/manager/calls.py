"""The cache's part in a model call: plan it, look it up, store its response, share it with equal calls."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from hashlib import sha256
from time import perf_counter
from typing import TYPE_CHECKING, Any

from spark_cache import events
from spark_cache.core.plan import Hit, Miss, Plan, must_encrypt
from spark_cache.entries import read_plain, staleness
from spark_cache.errors import StoreError, UncacheableRequestError, UncacheableResponseError
from spark_cache.keys import readable_request, state_path
from spark_cache.stores import Address, folder_name
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spark_cache.core.cache import Cache
    from spark_cache.core.single_flight import Flight, SingleFlight
    from spark_cache.core.write import Prepared
    from spark_cache.explain import Explanation
    from spark_cache.savings import Totals
    from spark_cache.types import CacheKey, Request

__all__ = ["Calls"]


class Calls:
    """What a model call does with the cache. A call keeps the instance it began with, even if the manager is reloaded.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.lock_timeout_seconds = cache.config.lock_timeout_seconds

    def plan(self, request: Request, *, mode: Mode | None = None, sensitive: bool | None = None) -> Plan:
        """Decide what a call may do with the cache, and key its request if it may do anything.

        Args:
            request: The request.
            mode: The mode that the call asks for; None is the configured one.
            sensitive: Whether the request is sensitive. Rules can only raise it.
        """
        plan = self._cache.planner.plan(request, mode=mode, sensitive=bool(sensitive))
        if plan.refusal is not None:
            self._cache.warn_of_refusal(plan.refusal)
        return plan

    def try_fast_hit(
        self, request: Request, parse: Callable[[dict[str, Any], CacheKey, bool], Any]
    ) -> Hit | tuple[Plan, Miss] | None:
        """Answer a request for text in one pass, where everything about the call, its entry and the cache is ordinary.

        The only fast path there is. It takes two thirds of the time of :meth:`plan` and :meth:`look_up`, and does the same
        with an ordinary entry; tests compare the two. Where anything is unusual it gives up, so it never decides why a call
        misses. An absent entry is the exception: most calls that miss find no file, and nothing is left to look at.

        Args:
            request: A request in the configured mode that the call does not declare sensitive.
            parse: Turns the stored response into the caller's answer, given the key and whether the call may write.

        Returns:
            A hit; the plan of a call whose entry is absent, with the miss, which is counted; or None, with nothing done.
        """
        cache = self._cache
        policy = cache.config.policy(request.provider, request.model_id)
        mode = policy.mode
        if (
            cache.ring is not None
            or not policy.enabled
            or not mode.reads
            or policy.ttl_seconds == 0
            or must_encrypt(policy, sensitive=False)
            or state_path(request) is not None
        ):
            return None
        writes = mode.writes
        directory, recorder, _, _ = cache.opened or cache.open()
        try:
            key = cache.planner.key(request, sensitive=False)
            started = perf_counter()
            # A key that was just made is a name as it is.
            name = str.__str__(key)
            at = Address(folder_name(key.provider), folder_name(key.model_id), name)
            data = directory.store.read(at, note_use=writes, remember=True)
        except (UncacheableRequestError, StoreError):
            return None
        if data is MissReason.ABSENT:
            plan, miss = Plan(policy, mode, False, key), Miss(MissReason.ABSENT)
            recorder.count(miss, key.provider, key.model_id, name, mode, request.operation, started)
            if writes:
                self._note_miss(plan, key, miss)
            return plan, miss
        opened = read_plain(data, key, policy.namespace) if isinstance(data, bytes) else data
        if not isinstance(opened, tuple):
            return None
        response, timestamp, ttl = opened
        fresh = mode is Mode.REPLAY or not staleness(timestamp, ttl, directory.clock(), policy.ttl_seconds)
        parsed = parse(response, key, writes) if fresh else None
        if parsed is None or isinstance(parsed, MissReason):
            return None
        if directory.faults:
            directory.clear_fault("read")
        hit = Hit(response, timestamp, parsed)
        recorder.count(hit, key.provider, key.model_id, name, mode, request.operation, started)
        return hit

    def entry_name(self, plan: Plan) -> str | None:
        """Return the name of a call's entry, which is the part of the key that may be shown; None without a key."""
        if plan.key is None:
            return None
        return self._cache.open().lookup.names.written(plan.key, encrypted=plan.encrypted)

    def look_up(
        self, plan: Plan, operation: str = "text", *, parse: Callable[[dict[str, Any]], Any] | None = None
    ) -> Hit | Miss:
        """Answer a planned call from the cache, or say why not. An I/O error is a miss.

        Args:
            plan: The call.
            operation: The operation of the request, for the log.
            parse: Turns the stored response into the caller's answer; returns None, or a reason, if it cannot.
        """
        if plan.key is None or not plan.mode.reads:
            return plan.refusal or Miss(MissReason.BYPASSED)
        found = self._cache.open().lookup.fetch(
            plan.key, plan.policy, plan.mode, encrypted=plan.encrypted, operation=operation, parse=parse
        )
        if isinstance(found, Miss) and plan.mode.writes:
            self._note_miss(plan, plan.key, found)
        return found

    def look_up_many(
        self, plans: Sequence[Plan], operation: str, *, parse: Callable[[dict[str, Any]], Any]
    ) -> Iterator[Hit | Miss]:
        """Yield what :meth:`look_up` returns for each of several planned calls, in their order.

        Args:
            plans: The calls.
            operation: The operation of the requests, for the log.
            parse: As for :meth:`look_up`.
        """
        readable = [plan for plan in plans if plan.key is not None and plan.mode.reads]
        fetched = self._cache.open().lookup.fetch_many(readable, operation=operation, parse=parse)
        for plan in plans:
            if plan.key is None or not plan.mode.reads:
                yield plan.refusal or Miss(MissReason.BYPASSED)
                continue
            found = next(fetched)
            if isinstance(found, Miss) and plan.mode.writes:
                self._note_miss(plan, plan.key, found)
            yield found

    def look_again(
        self, plans: Sequence[Plan], *, parse: Callable[[dict[str, Any]], Any]
    ) -> Sequence[Hit | Miss]:
        """Look up planned calls once more: equal calls may have stored their responses since.

        Args:
            plans: The calls, all in one mode. Each has a key.
            parse: As for :meth:`look_up`.
        """
        if not plans[0].mode.reads:
            return [Miss(MissReason.BYPASSED)] * len(plans)
        found = [one for one, _ in self._cache.open().lookup.find_many(plans, parse=parse)]
        for plan, one in zip(plans, found, strict=True):
            if isinstance(one, Hit):
                self.note_shared(plan, one.response)
        return found

    def note_shared(self, plan: Plan, response: Mapping[str, Any]) -> None:
        """Count that a planned call, which missed, got the response of an equal call.

        Args:
            plan: The call.
            response: The response, as it is stored.
        """
        if plan.key is not None:
            self._cache.open().recorder.count_shared(plan.key, plan.mode, response)

    def store(self, answers: Sequence[tuple[Plan, Request, dict[str, Any]]]) -> None:
        """Store the responses of planned calls, if they may be stored. An I/O error is a warning.

        Args:
            answers: The plan, the request and the response of each call.
        """
        prepared = [self._prepare(*answer) for answer in answers]
        self._cache.open().writer.write([one for one in prepared if one is not None])

    def _prepare(self, plan: Plan, request: Request, response: dict[str, Any]) -> Prepared | None:
        if plan.key is None or not plan.mode.writes:
            return None
        try:
            return self._cache.open().writer.prepare(
                plan.key,
                plan.key.provider,
                plan.key.model_id,
                request=readable_request(request) if plan.policy.store_requests else None,
                response=response,
                ttl=plan.policy.ttl_seconds,
                policy=plan.policy,
                mode=plan.mode,
                encrypted=plan.encrypted,
                operation=request.operation,
                of_a_model=True,
            )
        except UncacheableResponseError as error:
            self._cache.warn_once("store the answer", str(error))
            return None

    def note_bypass(self, plan: Plan, request: Request, reason: str) -> None:
        """Log that a call bypassed the cache, or that its response was not stored.

        Args:
            plan: The call.
            request: Its request.
            reason: Why.
        """
        name = self.entry_name(plan)
        self._cache.open().recorder.emit(
            events.CacheBypass,
            provider=request.provider,
            model=request.model_id,
            key=None if name is None else name[:12],
            operation=request.operation,
            reason=reason,
        )

    def warn_once(self, operation: str, error: str) -> None:
        """Warn that something around the cache failed, once for each cause.

        Args:
            operation: What failed.
            error: Why.
        """
        self._cache.warn_once(operation, error)

    def totals(self) -> Totals:
        """Return what the calls of this process came to."""
        return self._cache.open().directory.ledger.process()

    @property
    def single_flight(self) -> SingleFlight:
        """The running provider calls, shared by everyone who uses the directory in this process."""
        return self._cache.open().directory.single_flight

    def lease(self, plans: Sequence[Plan], flight: Flight | None) -> AbstractAsyncContextManager[bool]:
        """Hold the lease for planned calls that are sent together while the body runs; see :class:`spark_cache.stores.base.Leases`.

        Only calls that read before they write take a lease. Others cannot be answered by another process.

        Args:
            plans: The calls. A batch has one lease, which another process waits for if it sends the same batch.
            flight: The running call, which may not need a lease; None if nobody shares it.
        """
        leases = self._cache.open().directory.store.leases
        names = [self.entry_name(plan) or "" for plan in plans]
        if (
            leases is None
            or "" in names
            or plans[0].mode is not Mode.READ_WRITE
            or (flight is not None and not flight.needs_lease)
        ):
            return nullcontext(False)
        name = names[0] if len(names) == 1 else sha256(" ".join(sorted(names)).encode()).hexdigest()
        return leases.held(name, timeout_seconds=self.lock_timeout_seconds)

    def explain(
        self, request: Request, *, mode: Mode | None, sensitive: bool | None, missed: Miss | None = None
    ) -> Explanation:
        """Explain why a request misses, or that it hits. Counts as no use and writes nothing.

        Args:
            request: The request.
            mode: The mode that the call asks for.
            sensitive: Whether the request is sensitive.
            missed: The miss to explain; None looks the request up.
        """
        from spark_cache.explain import explain_call  # noqa: PLC0415 - imported for those who ask

        plan = self.plan(request, mode=mode, sensitive=sensitive)
        return explain_call(self._cache.open().lookup, self._cache.ring, plan, request, missed)

    def _note_miss(self, plan: Plan, key: CacheKey, miss: Miss) -> None:
        """Add a miss to the miss log; of a request that must be encrypted, only the name of its entry."""
        self._cache.open().directory.miss_log.missed(
            self._cache.open().lookup.names.written(key, encrypted=plan.encrypted),
            provider=key.provider,
            model=key.model_id,
            reason=miss.reason.value,
            digests=None if plan.encrypted else key.digests,
        )
