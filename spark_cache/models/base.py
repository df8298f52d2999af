"""What all models do: build the request, key it, look up, call, decide what may be stored, store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from spark_cache.errors import CacheMissError
from spark_cache.keys import key_parameters
from spark_cache.manager import CacheManager
from spark_cache.models.copies import own_request, own_response
from spark_cache.models.credentials import without_credentials
from spark_cache.models.response import ModelResponse, from_stored, to_stored
from spark_cache.plan import Hit
from spark_cache.types import MissReason, Mode, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from spark_cache.config import CacheConfig
    from spark_cache.plan import Plan
    from spark_cache.types import CacheKey

__all__ = ["Model"]

_DEFAULT = "default"

_COMPLETE = frozenset({"end_turn", "tool_use", "stop_sequence"})
"""The reasons to stop after which an answer is whole; one cut at the token limit is stored only on request."""

_UNFIT = {"max_tokens": "truncated", "refusal": "refused", "content_filter": "refused"}


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
        TypeError: ``model_id`` is no text, or ``cache_config`` no configuration.
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
        if not isinstance(model_id, str):
            raise TypeError(f"model_id is text, such as 'gpt-4o', not {type(model_id).__name__}")
        self.model_id = model_id
        self.params = dict(params or {})
        self._manager = CacheManager.shared(
            _configured(
                cache_config, enabled=enable_cache, ttl_seconds=cache_ttl_seconds, cache_dir=cache_dir
            )
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_id!r})"

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
            **parameters: Go to the provider's SDK as they are. One that has a name above goes by what is given there.

        Returns:
            The answer; ``cached`` says where it came from.

        Raises:
            CacheMissError: Replay mode, and the cache has no answer.
            TypeError: ``messages`` is one text or one message instead of a list, or a parameter is not one of a call.
            ValueError: ``cache`` is no mode.

        The errors of the provider's SDK come through unchanged and are never stored.
        """
        request = self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return await self._answer(request, mode=_mode(cache), sensitive=sensitive)

    def cache_key(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = _DEFAULT,  # noqa: ARG002 - taken so that the arguments of get_text can be given as they are
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """The key that :meth:`get_text` would use for these arguments.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        request = self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return self._manager.key(request, sensitive=bool(sensitive))

    async def aclose(self) -> None:
        """Close the connections that this model opened, and finish what the cache writes later; it can still be used."""
        self._manager.flush()

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

    def _stop_reasons(self, response: ModelResponse) -> Sequence[str | None]:
        """Why the model stopped, for every answer that a response holds."""
        return (response.stop_reason,)

    def _parameters(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters of a call, with whatever else its client sends that can change the answer."""
        together = {**self.params, **given}
        return {name: value for name, value in together.items() if not self._is_left_out(value)}

    def _is_left_out(self, value: object) -> bool:  # noqa: ARG002 - a provider whose SDK has such marks knows them
        """Whether a value is one of the SDK's marks for an argument that is not given."""
        return False

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
        if isinstance(messages, str | bytes | dict):
            raise TypeError(
                "messages takes a list of messages, such as [{'role': 'user', 'content': 'Hello'}], "
                f"not one {type(messages).__name__}"
            )
        return Request(
            provider=self.provider,
            model_id=self.model_id,
            messages=messages,
            system_prompt=None if self._is_left_out(system_prompt) else system_prompt,
            tool_specs=None if self._is_left_out(tool_specs) else tool_specs,
            tool_choice=None if self._is_left_out(tool_choice) else tool_choice,
            endpoint=self._endpoint(),
            sample=sample,
            parameters=self._parameters(parameters),
        )

    async def _answer(self, request: Request, *, mode: Mode | None, sensitive: bool | None) -> ModelResponse:
        manager = self._manager
        plan = manager.plan(request, mode=mode, sensitive=sensitive)
        found = manager.lookup(plan, request.operation, read=_reader(plan))
        if isinstance(found, Hit):
            hit: ModelResponse = found.answer
            return hit
        if plan.mode is Mode.REPLAY:
            raise CacheMissError(found.reason.value, self.provider, self.model_id, plan.name, found.detail)
        if plan.key is None:
            if found.reason is not MissReason.DISABLED:
                manager.note_bypass(plan, request, found.reason.value)
            return await self._ask(request)
        asked = False
        # From here on others run, and may go on with the messages that were just keyed.
        request = own_request(request)

        async def ask() -> ModelResponse:
            nonlocal asked
            asked = True
            return await self._ask_and_store(request, plan)

        response = await manager.flights(plan).share(
            _flight(plan), ask, client=self, patience=manager.config.lock_timeout_seconds
        )
        return response if asked else replace(own_response(response), shared=True)

    async def _ask(self, request: Request) -> ModelResponse:
        started = perf_counter()
        response = self._read(await self._call(request))
        return replace(response, latency_seconds=perf_counter() - started)

    async def _ask_and_store(self, request: Request, plan: Plan) -> ModelResponse:
        manager = self._manager
        async with manager.lease(plan):
            # An equal call in another thread or process may have ended between the look-up and now.
            found = manager.look_again(plan, read=_reader(plan))
            if isinstance(found, Hit):
                hit: ModelResponse = found.answer
                return hit
            manager.flights(plan).goes_out(_flight(plan))
            response = replace(await self._ask(request), cache_key=plan.key)
            unfit = _unfit(self._stop_reasons(response), plan)
            if unfit is None:
                manager.store(plan, _readable(request), to_stored(response), request.operation)
            else:
                manager.note_bypass(plan, request, unfit)
            return response


def _configured(config: CacheConfig | None, **overrides: Any) -> CacheConfig:
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - pydantic is loaded with the first configuration

    if config is not None and not isinstance(config, CacheConfig):
        raise TypeError(f"cache_config takes a CacheConfig, not {type(config).__name__}")
    given = {name: value for name, value in overrides.items() if value is not None}
    if config is None:
        return load_config(**given)
    return config.with_(**given) if given else config


def _mode(cache: str) -> Mode | None:
    """The mode that a call asks for; None leaves it to the configuration."""
    if cache == _DEFAULT:
        return None
    try:
        return Mode(cache)
    except ValueError:
        raise ValueError(f"cache={cache!r}: it takes {', '.join((_DEFAULT, *Mode))}") from None


def _flight(plan: Plan) -> tuple[CacheKey | None, bool]:
    """What makes two calls one: a call that stores its answer does not do for one that may not."""
    return plan.key, plan.mode.writes


def _reader(plan: Plan) -> Callable[[dict[str, Any]], ModelResponse | None]:
    return lambda stored: None if plan.key is None else from_stored(stored, plan.key)


def _unfit(stop_reasons: Sequence[str | None], plan: Plan) -> str | None:
    """Why a response is not stored: what is wrong with the first of its answers that may not be; None when all may."""
    fit = _COMPLETE | {"max_tokens"} if plan.policy.store_truncated else _COMPLETE
    for reason in stop_reasons:
        if reason not in fit:
            return _UNFIT.get(reason or "", "incomplete")
    return None if stop_reasons else "incomplete"


def _readable(request: Request) -> dict[str, Any]:
    """The request as it is stored beside its answer, where requests are stored: without credentials."""
    shown = {
        "messages": request.messages,
        "system_prompt": request.system_prompt,
        "tool_specs": request.tool_specs,
        "tool_choice": request.tool_choice,
        "sample": request.sample,
        "endpoint": request.endpoint,
        "parameters": without_credentials(key_parameters(request.parameters)) or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
