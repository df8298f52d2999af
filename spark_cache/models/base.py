"""What all models do: build the request, key it, look up, call, decide what may be stored, store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spark_cache.errors import CacheMissError
from spark_cache.keys import key_parameters
from spark_cache.manager import CacheManager
from spark_cache.models.response import ModelResponse, from_stored, to_stored
from spark_cache.plan import Hit, Miss
from spark_cache.types import MissReason, Mode, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from spark_cache.config import CacheConfig
    from spark_cache.plan import Plan
    from spark_cache.types import CacheKey

__all__ = ["Model"]

_DEFAULT = "default"

_COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""The reasons to stop after which an answer is whole; one cut at the token limit is stored only on request."""


class Model(ABC):
    """A model of a provider, whose answers are cached.

    What is left at None comes from :func:`spark_cache.load_config`: the profile, the environment, the defaults.

    Args:
        model_id: The provider's name for the model.
        enable_cache: Whether answers are cached.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.
        params: Parameters of every call; those of a call win.

    Raises:
        ConfigError: The configuration cannot be used.
    """

    provider: ClassVar[str]
    """The provider's name in keys, folders and rules."""

    def __init__(
        self,
        model_id: str,
        *,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.model_id = model_id
        self.params = dict(params or {})
        self._manager = CacheManager.shared(
            _configured(
                cache_config, enabled=enable_cache, ttl_seconds=cache_ttl_seconds, cache_dir=cache_dir
            )
        )

    @property
    def cache(self) -> CacheManager:
        """The manager of the cache that this model uses, shared by all models of an equal configuration."""
        return self._manager

    async def get_text(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = _DEFAULT,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> ModelResponse:
        """Ask the model, or the cache.

        Args:
            messages: The conversation. ``content`` is a text or a list of blocks; blocks other than ``{"text": …}`` go to the
                provider as they are.
            system_prompt: System instructions.
            tool_specs: The tools it may call, each ``{"name": …, "description": …, "parameters": JSON schema}`` or in the
                provider's own form.
            tool_choice: ``auto``, ``none``, ``required``, the name of a tool, or the provider's own form.
            cache: What this call may do with the cache, a :class:`spark_cache.Mode`; ``default`` is the configured mode.
            sensitive: Whether the request may only be stored encrypted; rules of the configuration can only raise it.
            sample: Which of several equal requests this is: each has an entry of its own.
            **parameters: Go to the provider's SDK as they are.

        Returns:
            The answer; ``cached`` says where it came from.

        Raises:
            CacheMissError: Replay mode, and the cache has no answer.
            ValueError: ``cache`` is no mode.

        The errors of the provider's SDK come through unchanged and are never stored.
        """
        request = self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return await self._answer(
            request, mode=None if cache == _DEFAULT else Mode(cache), sensitive=sensitive
        )

    def cache_key(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = _DEFAULT,  # noqa: ARG002 - taken so that the arguments of get_text can be given as they are
        sensitive: bool | None = None,  # noqa: ARG002 - the same
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """The key that :meth:`get_text` would use for these arguments.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        return self._manager.key(
            self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        )

    async def aclose(self) -> None:  # noqa: B027 - nothing to close unless a provider's model holds connections
        """Close the connections that this model opened; it can still be used."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    # -- what a provider's model says of itself -----------------------------------------------------------------------------------

    @abstractmethod
    def _endpoint(self) -> str | None:
        """The address that calls go to, normalised; None is the provider's own."""

    @abstractmethod
    async def _call(self, request: Request) -> Any:
        """Ask the provider; its answer as JSON values, complete."""

    @abstractmethod
    def _read(self, raw: Any) -> ModelResponse:
        """Understand the provider's JSON."""

    # -- the one way of every call --------------------------------------------------------------------------------------------------

    def _request(
        self,
        messages: Sequence[Any],
        system_prompt: str | None,
        tool_specs: Sequence[Any] | None,
        tool_choice: Any,
        sample: int | None,
        parameters: Mapping[str, Any],
    ) -> Request:
        return Request(
            provider=self.provider,
            model_id=self.model_id,
            messages=messages,
            system_prompt=system_prompt,
            tool_specs=tool_specs,
            tool_choice=tool_choice,
            endpoint=self._endpoint(),
            sample=sample,
            parameters={**self.params, **parameters},
        )

    async def _answer(self, request: Request, *, mode: Mode | None, sensitive: bool | None) -> ModelResponse:
        manager = self._manager
        plan = manager.plan(request, mode=mode, sensitive=sensitive)
        found = manager.lookup(plan, request.operation)
        if isinstance(found, Hit):
            hit = _response(found, plan)
            if hit is not None:
                return hit
            found = Miss(MissReason.CORRUPT)
        if plan.mode is Mode.REPLAY:
            raise CacheMissError(found.reason.value, self.provider, self.model_id, plan.name, found.detail)
        if plan.key is None:
            if found.reason is not MissReason.DISABLED:
                manager.note_bypass(plan, request, found.reason.value)
            return await self._ask(request)
        return await manager.flights.share(
            (plan.key, plan.mode.writes),
            lambda: self._ask_and_store(request, plan),
            client=self,
            patience=manager.config.lock_timeout_seconds,
        )

    async def _ask(self, request: Request) -> ModelResponse:
        started = perf_counter()
        response = self._read(await self._call(request))
        return replace(response, latency_seconds=perf_counter() - started)

    async def _ask_and_store(self, request: Request, plan: Plan) -> ModelResponse:
        response = replace(await self._ask(request), cache_key=plan.key)
        unfit = _unfit(response, plan)
        if unfit is None:
            self._manager.store(plan, _readable(request), to_stored(response), request.operation)
        else:
            self._manager.note_bypass(plan, request, unfit)
        return response


def _configured(config: CacheConfig | None, **overrides: Any) -> CacheConfig:
    from spark_cache.config import load_config  # noqa: PLC0415 - pydantic is loaded with the first configuration

    given = {name: value for name, value in overrides.items() if value is not None}
    if config is None:
        return load_config(**given)
    return config.with_(**given) if given else config


def _response(hit: Hit, plan: Plan) -> ModelResponse | None:
    """The response of a hit; None when the entry holds something else than a model's answer."""
    if plan.key is None:
        return None
    try:
        return from_stored(hit.entry.response, plan.key)
    except (KeyError, TypeError, AttributeError):
        return None


def _unfit(response: ModelResponse, plan: Plan) -> str | None:
    """Why an answer is not stored; None when it may be."""
    if response.stop_reason in _COMPLETE or (
        response.stop_reason == "max_tokens" and plan.policy.store_truncated
    ):
        return None
    return {"max_tokens": "truncated", "refusal": "refused", "content_filter": "refused"}.get(
        response.stop_reason or "", "incomplete"
    )


def _readable(request: Request) -> dict[str, Any]:
    """The request as it is stored beside its answer, where requests are stored: without credentials."""
    shown = {
        "messages": request.messages,
        "system_prompt": request.system_prompt,
        "tool_specs": request.tool_specs,
        "tool_choice": request.tool_choice,
        "sample": request.sample,
        "endpoint": request.endpoint,
        "parameters": key_parameters(request.parameters) or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
