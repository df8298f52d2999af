"""One call of a model: plan it, look it up, store its answer, and share it with others that ask the same."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from spark_cache.core.plan import Hit, Miss, Plan, mode_of, must_encrypt, refusal_of
from spark_cache.errors import UncacheableRequestError, UncacheableResponseError
from spark_cache.events import CacheBypass
from spark_cache.keys import stateful_parameter
from spark_cache.manager.core import Core
from spark_cache.types import MissReason, Mode, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from spark_cache.core.single_flight import SingleFlight
    from spark_cache.explain import Explanation
    from spark_cache.types import CacheKey


__all__ = ["PlannedCalls"]


class PlannedCalls(Core):
    """What a model asks of its cache."""

    def plan(self, request: Request, *, mode: Mode | None = None, sensitive: bool | None = None) -> Plan:
        """Decide what a call may do with the cache, and key its request if it may do anything.

        Args:
            request: What is asked.
            mode: The mode that the call asks for; None is the configured one. Replay, once configured, cannot be left.
            sensitive: Whether the request is sensitive; rules can only raise it.
        """
        policy = self._config.policy(request.provider, request.model_id)
        chosen = mode_of(policy, mode)
        encrypted = must_encrypt(policy, sensitive=bool(sensitive))
        refusal = refusal_of(
            request, policy, mode, encrypted=encrypted, can_encrypt=self._can_encrypt(policy)
        )
        if refusal is not None:
            self._warn_of(refusal)
            return Plan(policy, chosen, encrypted, refusal=refusal)
        try:
            key = self._key(request, encrypted=encrypted)
        except UncacheableRequestError as error:
            # The names inside a sensitive request may say as much as its values: its part is enough.
            part = error.path.partition(".")[0].partition("[")[0] if encrypted else error.path
            refusal = Miss(MissReason.UNCACHEABLE, f"{part}: {error.reason}")
            self._warn_of(refusal)
            return Plan(policy, chosen, encrypted, refusal=refusal)
        return Plan(policy, chosen, encrypted, key, place=self._entries)

    def usual_hit(self, request: Request, read: Callable[[dict[str, Any], CacheKey, Any], Any]) -> Any:
        """Answer a call that asks for nothing unusual, in one pass: most of the time of a hit would go into planning it.

        It answers or it gives up, and decides nothing, as :class:`spark_cache.core.fast_hit.QuickHits` does with the entry: whatever is
        unusual in any way is left to :meth:`plan` and :meth:`lookup`. Tests hold the two ways to the same answers.

        Args:
            request: What is asked, in the configured mode, and without being called sensitive.
            read: Makes the caller's answer out of the stored response, its key and the manager that may change the entry; None,
                or a reason, where it cannot.

        Returns:
            The answer, which is counted; None where it takes more to tell.
        """
        policy = self._config.policy(request.provider, request.model_id)
        if not policy.enabled or not policy.mode.reads or self._ring is not None:
            return None
        if must_encrypt(policy, sensitive=False) or stateful_parameter(request.parameters) is not None:
            return None
        try:
            key = self._key(request, encrypted=False)
        except UncacheableRequestError:
            return None
        return self._entries.usual_hit(key, policy, read, self if policy.mode.writes else None)

    def lookup(
        self, plan: Plan, operation: str = "text", *, read: Callable[[dict[str, Any]], Any] | None = None
    ) -> Hit | Miss:
        """Answer a planned call from the cache, or say why not. Never raises for what the machine does.

        Args:
            plan: The call.
            operation: What is asked for, for the log.
            read: Makes the caller's answer out of the stored response; None where the response is of another shape.
        """
        if plan.key is None or not plan.mode.reads:
            return plan.refusal or Miss(MissReason.BYPASSED)
        found = self._place(plan).fetch(
            plan.key, plan.policy, plan.mode, encrypted=plan.encrypted, operation=operation, read=read
        )
        if isinstance(found, Miss) and plan.mode.writes:
            self._note_miss(plan, found)
        return found

    def look_again(self, plan: Plan, *, read: Callable[[dict[str, Any]], Any]) -> Hit | Miss:
        """Look up a planned call once more: whether an equal one has brought its answer meanwhile, which is then shared."""
        if plan.key is None or not plan.mode.reads:
            return Miss(MissReason.BYPASSED)
        found = self._place(plan).find(plan.key, plan.policy, plan.mode, encrypted=plan.encrypted, read=read)[
            0
        ]
        if isinstance(found, Hit):
            self.note_shared(plan, found.response)
        return found

    def note_shared(self, plan: Plan, response: Mapping[str, Any]) -> None:
        """Count that a planned call, which missed, was spared by an equal one that was under way.

        Args:
            plan: The call.
            response: The answer that it got, as it is stored.
        """
        if plan.key is not None:
            self._place(plan).recorder.count_shared(plan.key, plan.mode, response)

    def store(
        self, plan: Plan, request: Mapping[str, Any], response: dict[str, Any], operation: str = "text"
    ) -> bool:
        """Store the answer of a planned call, if it may; whether it is now in the cache. Never raises for what the machine does."""
        if plan.key is None or not plan.mode.writes:
            return False
        entry = self._entry(
            plan.key,
            plan.key.provider,
            plan.key.model_id,
            request,
            response,
            plan.policy.ttl_seconds,
            plan.policy,
        )
        entries = self._place(plan)
        try:
            return entries.put(entry, encrypted=plan.encrypted, operation=operation, of_a_model=True)
        except UncacheableResponseError as error:
            entries.directory.tell("store the answer", str(error), profile=self._config.profile)
            return False

    def note_bypass(self, plan: Plan, request: Request, reason: str) -> None:
        """Log that a call went past the cache, or that its answer was not stored."""
        self._entries.recorder.emit(
            CacheBypass,
            provider=request.provider,
            model=request.model_id,
            key=None if plan.name is None else plan.name[:12],
            operation=request.operation,
            reason=reason,
        )

    def warn(self, operation: str, error: str) -> None:
        """Warn, once for each cause, that something around the cache failed; calls go on without it."""
        self._entries.directory.tell(operation, error, profile=self._config.profile)

    def single_flight(self, plan: Plan) -> SingleFlight:
        """The calls under way to the provider, shared by everybody who shares the directory."""
        return self._place(plan).directory.single_flight

    @asynccontextmanager
    async def lease(self, plan: Plan) -> AsyncIterator[None]:
        """Make other processes wait that would make the same planned call; the body runs, whether they can be made to or not.

        Only where the answer is looked up first and stored afterwards: nobody else could wait for another call's.
        """
        directory = self._place(plan).directory
        if directory.key_locks is None or plan.name is None or plan.mode is not Mode.READ_WRITE:
            yield
            return
        async with directory.key_locks.held(plan.name, timeout_seconds=self._config.lock_timeout_seconds):
            yield

    def explain(
        self,
        asked: Request | str,
        model_id: str | None = None,
        messages: Any = None,
        system_prompt: Any = None,
        tool_specs: Any = None,
        *,
        tool_choice: Any = None,
        output_schema: Any = None,
        operation: str = "text",
        endpoint: str | None = None,
        sample: int | None = None,
        mode: Mode | str | None = None,
        sensitive: bool | None = None,
        missed: Miss | None = None,
        **parameters: Any,
    ) -> Explanation:
        """Why a request misses, or that it would be answered; counts as no use, and writes nothing.

        Args:
            asked: A request; or a key, or the name of an entry, alone; or the provider, with what follows as for
                :meth:`generate_cache_key`.
            model_id: The model it is asked of.
            messages: The conversation.
            system_prompt: System instructions beside the messages.
            tool_specs: The tools the model may call.
            tool_choice: Which of them it should call.
            output_schema: The schema that a structured answer has to meet.
            operation: ``text``, ``json`` or ``embedding``.
            endpoint: The provider's address where it is not the provider's own.
            sample: Which of several equal requests this is.
            mode: The mode that the call asks for; None is the configured one.
            sensitive: Whether the request is sensitive; rules can only raise it.
            missed: What a call of this request came to; None looks it up.
            **parameters: Whatever else goes to the provider.

        Returns:
            The reason in words; where no entry has the key, also the nearest one and in what it differs.
        """
        from spark_cache.explain import explain_call, explain_name  # noqa: PLC0415 - for those who ask

        if isinstance(asked, Request):
            request = asked
        elif model_id is None:
            return explain_name(self._entries, self._ring, asked)
        else:
            request = Request(
                asked,
                model_id,
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                output_schema,
                operation,
                endpoint,
                sample,
                parameters,
            )
        plan = self.plan(request, mode=None if mode is None else Mode(mode), sensitive=sensitive)
        return explain_call(self._place(plan), self._ring, plan, request, missed)

    def _note_miss(self, plan: Plan, miss: Miss) -> None:
        """Remember a miss for those who ask why; of a request that is to be encrypted only the name of its entry."""
        if plan.key is not None and plan.name is not None:
            self._place(plan).directory.miss_log.missed(
                plan.name,
                provider=plan.key.provider,
                model=plan.key.model_id,
                reason=miss.reason.value,
                digests=None if plan.encrypted else plan.key.digests,
            )
