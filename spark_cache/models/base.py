"""What a program holds: a model, and the ways of asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from spark_cache.calls.call import AnswerSpec, Recorded
from spark_cache.calls.embeddings import EmbeddedTexts
from spark_cache.calls.request import DEFAULT_MODE, BuiltRequests, mode_of_call
from spark_cache.calls.stream import StreamedCalls
from spark_cache.calls.structured import JsonResponse, Output
from spark_cache.errors import InvalidAnswerError
from spark_cache.manager import CacheManager
from spark_cache.providers.conversation import turn_in_our_form
from spark_cache.providers.copies import copied
from spark_cache.providers.response import from_stored
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from pydantic import BaseModel

    from spark_cache.config import CacheConfig
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import CacheKey, Request

    T = TypeVar("T", bound=BaseModel)

__all__ = ["Model"]


def _text(recorded: Recorded) -> ModelResponse | MissReason:
    """An answer in one piece; one that was streamed will do if the provider sent its usage along."""
    if recorded.events is not None and recorded.response.usage is None:
        return MissReason.UNSUITABLE
    return recorded.response


_TEXT = AnswerSpec(parse=_text)


def _stored_text(
    stored: dict[str, Any], key: CacheKey, origin: CacheManager | None
) -> ModelResponse | MissReason | None:
    """What :func:`_text` says of a stored response; None where it is of another shape."""
    response = from_stored(stored, key, origin)
    if response is None or "events" not in stored:
        return response
    return _text(Recorded(response, stored["events"]))


class Model(BuiltRequests, StreamedCalls, EmbeddedTexts):
    """A model of a provider, whose answers are cached.

    What is left at None comes from :func:`spark_cache.load_config`: the profile, the environment, the defaults.

    Args:
        model_id: The provider's name for the model.
        enable_cache: Whether answers are cached.
        cache_ttl_seconds: How long an answer may be served: seconds, or text such as ``"24h"``.
        cache_dir: Where entries are kept.
        cache_config: A whole configuration, instead of the one that is found.
        params: Parameters of every call; those of a call win.
        should_cache: Asked before a fresh answer is stored, with the :class:`spark_cache.types.Request` and the
            :class:`ModelResponse`: False keeps it out of the cache. An exception does too, with a warning.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: ``model_id`` is no text, or ``cache_config`` no configuration.
    """

    def __init__(
        self,
        model_id: str,
        *,
        enable_cache: bool | None = None,
        cache_ttl_seconds: float | str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache_config: CacheConfig | None = None,
        params: Mapping[str, Any] | None = None,
        should_cache: Callable[[Request, ModelResponse], bool] | None = None,
    ) -> None:
        if not isinstance(model_id, str):
            raise TypeError(f"model_id is text, such as 'gpt-4o', not {type(model_id).__name__}")
        self.model_id = model_id
        self.params = dict(params or {})
        self._should_cache = should_cache
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
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> ModelResponse:
        """Ask the model, or the cache.

        Args:
            messages: The conversation. ``content`` is a text or a list of blocks, which every provider understands in the form
                of Amazon Bedrock's Converse (``{"text": …}``, ``image``, ``document``, ``toolUse``, ``toolResult``); blocks in
                the provider's own form go to it as they are.
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
        mode = mode_of_call(cache)
        text: ModelResponse | None = self._usual_hit(request, _stored_text, mode=mode, sensitive=sensitive)
        if text is None:
            text = await self._answer(request, _TEXT, mode=mode, sensitive=sensitive)
        return text

    @overload
    async def get_json(
        self,
        output_model: type[T],
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> JsonResponse[T]: ...

    @overload
    async def get_json(
        self,
        output_model: Mapping[str, Any],
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> JsonResponse[Any]: ...

    async def get_json(
        self,
        output_model: Any,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> JsonResponse[Any]:
        """Ask for an answer that meets a schema. It is checked before it is stored, and again when it comes from the cache.

        Args:
            output_model: A pydantic model class, or a JSON schema. The schema is part of the key.
            messages: This and what follows is as for :meth:`get_text`.
            system_prompt: See there.
            tool_specs: See there.
            tool_choice: See there.
            cache: See there.
            sensitive: See there.
            sample: See there.
            **parameters: See there.

        Returns:
            The answer; its ``output`` is an instance of the model class, or what the JSON says.

        Raises:
            InvalidAnswerError: The answer does not meet the schema, or the model gave none; nothing is stored.
            TypeError: ``output_model`` is neither of the two; and as for :meth:`get_text`.
            ValueError: The JSON schema has a keyword that cannot be checked; and as for :meth:`get_text`.
        """
        output = Output(output_model)

        def understood(response: ModelResponse) -> JsonResponse[Any]:
            return output.of(response, self._read_json_text(response))

        def parse(recorded: Recorded) -> JsonResponse[Any] | MissReason:
            try:
                return understood(recorded.response)
            except InvalidAnswerError:
                # Stored for a class of the same schema that took it.
                return MissReason.UNSUITABLE

        request = self._request(
            messages, system_prompt, tool_specs, tool_choice, sample, parameters, output.schema
        )
        spec = AnswerSpec(parse=parse, check=understood)
        answer: JsonResponse[Any] = await self._answer(
            request, spec, mode=mode_of_call(cache), sensitive=sensitive
        )
        return answer

    def stream_text(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        replay_timing: bool = False,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Ask for an answer that comes in events. One request has one entry, whether it is asked here or by :meth:`get_text`.

        The answer is stored after a clean end alone. Whoever stops early ends the call, unless others wait for the same answer;
        to be sure when, use ``contextlib.aclosing``.

        Args:
            messages: The conversation, as for :meth:`get_text`.
            system_prompt: See there.
            tool_specs: See there.
            tool_choice: See there.
            replay_timing: Whether events from the cache come at the pace at which they came first, instead of at once.
            cache: See there.
            sensitive: See there.
            sample: See there.
            **parameters: See there.

        Returns:
            An asynchronous iterator of the provider's events as they arrive, or as they came when they were recorded; then one of
            type ``end``, which has the whole ``response``. A stream that breaks off without an error has no such end.

        Raises:
            CacheMissError: At the first event: replay mode, and the cache has no answer.
            TypeError: As for :meth:`get_text`.
            ValueError: The same.
        """
        request = self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return self._streamed(
            request, mode=mode_of_call(cache), sensitive=sensitive, replay_timing=replay_timing
        )

    async def embed(
        self,
        texts: Iterable[str],
        *,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> list[list[float]]:
        """Embed texts. Each has an entry of its own; those that are missing go out together, as many as the provider takes.

        Args:
            texts: The texts. One that comes twice is asked for once.
            cache: As for :meth:`get_text`.
            sensitive: The same.
            **parameters: Go to the provider's SDK as they are.

        Returns:
            Their vectors, in the same order.

        Raises:
            CacheMissError: Replay mode, and the cache lacks one of them.
            NotImplementedError: The provider has no embeddings.
            TypeError: ``texts`` is one text, or holds something else.
            ValueError: ``cache`` is no mode.
        """
        listed = list(texts)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in listed):
            raise TypeError("texts takes a list of texts, such as ['one', 'another']")
        given = self._parameters(parameters)
        requests = [self._request_to_embed(text, given) for text in listed]
        return await self._embedded(requests, mode=mode_of_call(cache), sensitive=sensitive)

    def turn_of(self, response: ModelResponse) -> list[Any]:
        """An answer as the turn of a conversation, to go on with it: ``messages += model.turn_of(response)``.

        The turn is in the provider's own form, so that nothing is lost that it wants back: thinking with its signature, items of
        reasoning, the signatures of thoughts. An item of OpenAI's reasoning is known there by its id, and for some weeks;
        ``include=["reasoning.encrypted_content"]`` brings it whole.

        Args:
            response: An answer of this provider, fresh or from the cache.

        Returns:
            Messages, copied from the answer; none where it said nothing. An answer without the provider's JSON gives the
            message with its text and its calls of tools.
        """
        own = None if response.raw is None else self._turn_of(response)
        return turn_in_our_form(response) if own is None else [copied(message) for message in own]

    def cache_key(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        output_model: Any = None,
        cache: str = DEFAULT_MODE,  # noqa: ARG002 - taken so that the arguments of get_text can be given as they are
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """The key that :meth:`get_text` and :meth:`stream_text`, or with an ``output_model`` :meth:`get_json`, would use.

        Raises:
            UncacheableRequestError: The request holds something that cannot be keyed exactly.
        """
        schema = None if output_model is None else Output(output_model).schema
        request = self._request(messages, system_prompt, tool_specs, tool_choice, sample, parameters, schema)
        return self._manager.key(request, sensitive=bool(sensitive))

    async def aclose(self) -> None:
        """Close the connections that this model opened, and finish what the cache writes later; it can still be used."""
        self._manager.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


def _configured(config: CacheConfig | None, **overrides: Any) -> CacheConfig:
    from spark_cache.config import CacheConfig, load_config  # noqa: PLC0415 - pydantic is loaded with the first configuration

    if config is not None and not isinstance(config, CacheConfig):
        raise TypeError(f"cache_config takes a CacheConfig, not {type(config).__name__}")
    given = {name: value for name, value in overrides.items() if value is not None}
    if config is None:
        return load_config(**given)
    return config.with_(**given) if given else config
