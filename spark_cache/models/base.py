"""The model that a program holds."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from spark_cache.calls.answer import AnswerSpec, Recorded
from spark_cache.calls.caller import Caller
from spark_cache.calls.request import DEFAULT_MODE, RequestBuilder, mode_of_call
from spark_cache.calls.stream import Streamer
from spark_cache.calls.threads import CallerThread, SyncStream
from spark_cache.errors import InvalidAnswerError
from spark_cache.models.options import manager_of
from spark_cache.providers.base import Provider
from spark_cache.providers.conversation import turn_in_our_form
from spark_cache.providers.json_values import copied
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
    from typing import Unpack

    from numpy.typing import NDArray
    from pydantic import BaseModel

    from spark_cache.calls.structured import JsonResponse
    from spark_cache.manager import CacheManager
    from spark_cache.models.options import ModelOptions
    from spark_cache.providers.response import ModelResponse
    from spark_cache.providers.stream import StreamEvent
    from spark_cache.types import CacheKey

    T = TypeVar("T", bound=BaseModel)

__all__ = ["Model"]


class Model:
    """A model of a provider, with cached responses.

    Args:
        model_id: The provider's name for the model.
        provider: The provider.
        **options: See :class:`spark_cache.models.ModelOptions`.

    Raises:
        ConfigError: The configuration cannot be used.
        TypeError: An argument has the wrong type, or an option does not exist.
        ValueError: ``cache_manager`` is given together with another option of the cache.

    Attributes:
        provider: The name of the provider in keys, folders and rules.
        model_id: The provider's name for the model.
        params: Parameters of every call.
    """

    provider: str

    def __init__(self, model_id: str, provider: Provider, **options: Unpack[ModelOptions]) -> None:
        if not isinstance(model_id, str):
            raise TypeError(f"model_id must be a str such as 'gpt-4o', not {type(model_id).__name__}")
        if not isinstance(provider, Provider):
            raise TypeError(f"provider must be an instance of a Provider, not {provider!r}")
        self.provider = provider.name
        self.model_id = model_id
        self.params = dict(options.get("params") or {})
        self._provider = provider
        self._requests = RequestBuilder(provider, self)
        manager = manager_of(type(self).__name__, options)
        self._caller = Caller(provider, manager, options.get("should_cache"))
        self._streamer = Streamer(self._caller)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_id!r})"

    @property
    def cache(self) -> CacheManager:
        """The manager of the cache, shared by all models with an equal configuration."""
        return self._caller.manager

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
        """Return the model's response, from the cache or from the provider.

        Args:
            messages: The conversation. ``content`` is a string or a list of blocks. Every provider accepts blocks in the form
                of Amazon Bedrock's Converse API (``{"text": …}``, ``image``, ``document``, ``toolUse``, ``toolResult``). Blocks
                in the provider's own form are passed on unchanged.
            system_prompt: System instructions.
            tool_specs: The tools that the model may call, each ``{"name": …, "description": …, "parameters": JSON schema}``, a
                Python function, or in the provider's own form.
            tool_choice: ``auto``, ``none``, ``required``, the name of a tool, or the provider's own form.
            cache: What this call may do with the cache, a :class:`spark_cache.Mode`; ``default`` is the configured mode.
            sensitive: Whether the entry must be encrypted. Rules of the configuration can only raise it.
            sample: The number of this sample. Each sample of a request has its own entry.
            **parameters: Passed to the provider's SDK. A parameter with the name of an argument above is given there.

        Returns:
            The response. Its ``cached`` says where it came from.

        Raises:
            CacheMissError: The call misses in replay mode.
            TypeError: ``messages`` is a string or a single message instead of a list, or a parameter must be given elsewhere.
            ValueError: ``cache`` is not a mode.

        Errors of the provider's SDK are raised unchanged and never stored.
        """
        request = self._requests.build(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return await self._caller.text(request, mode=mode_of_call(cache), sensitive=sensitive)

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
        """Return a response that meets a schema. It is validated before it is stored, and again on a hit.

        Args:
            output_model: A pydantic model class, or a JSON schema. The schema is part of the key.
            messages: The conversation, as for :meth:`get_text`.
            system_prompt: System instructions.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            cache: What this call may do with the cache.
            sensitive: Whether the entry must be encrypted.
            sample: The number of this sample.
            **parameters: Passed to the provider's SDK.

        Returns:
            The response. Its ``output`` is an instance of the model class, or the parsed JSON.

        Raises:
            CacheMissError: The call misses in replay mode.
            InvalidAnswerError: The response does not meet the schema, or contains no JSON. It is not stored.
            TypeError: ``output_model`` is neither a pydantic model class nor a dictionary; and as for :meth:`get_text`.
            ValueError: The JSON schema is not valid; and as for :meth:`get_text`.
        """
        from spark_cache.calls.structured import Output  # noqa: PLC0415 - not needed for text

        output = Output(output_model)

        def validated(response: ModelResponse) -> JsonResponse[Any]:
            return output.of(response, self._provider.json_text(response))

        def parse(recorded: Recorded) -> JsonResponse[Any] | MissReason:
            try:
                return validated(recorded.response)
            except InvalidAnswerError:
                # It was stored for another class with the same schema, which accepted it.
                return MissReason.UNSUITABLE

        request = self._requests.build(
            messages, system_prompt, tool_specs, tool_choice, sample, parameters, output.schema
        )
        answer: JsonResponse[Any] = await self._caller.answer(
            request,
            AnswerSpec(parse=parse, validate=validated),
            mode=mode_of_call(cache),
            sensitive=sensitive,
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
        """Return the model's response as a stream of events. It shares its entry with :meth:`get_text`.

        The response is stored only after the stream ends cleanly. A caller that stops early cancels the call, unless others
        wait for the same response. Use ``contextlib.aclosing`` to control when.

        Args:
            messages: The conversation, as for :meth:`get_text`.
            system_prompt: System instructions.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            replay_timing: Whether events from the cache keep their original timing instead of arriving at once.
            cache: What this call may do with the cache.
            sensitive: Whether the entry must be encrypted.
            sample: The number of this sample.
            **parameters: Passed to the provider's SDK.

        Returns:
            An asynchronous iterator of the provider's events, as they arrive or as they were recorded. The last event has the
            type ``end`` and the whole ``response``. A stream that breaks off without an error has no such event.

        Raises:
            CacheMissError: At the first event: the call misses in replay mode.
            TypeError: As for :meth:`get_text`.
            ValueError: As for :meth:`get_text`.
        """
        request = self._requests.build(messages, system_prompt, tool_specs, tool_choice, sample, parameters)
        return self._streamer.stream(
            request, mode=mode_of_call(cache), sensitive=sensitive, replay_timing=replay_timing
        )

    @overload
    async def embed(
        self,
        texts: Iterable[str],
        *,
        as_array: Literal[False] = False,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> list[list[float]]: ...

    @overload
    async def embed(
        self,
        texts: Iterable[str],
        *,
        as_array: Literal[True],
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> NDArray[Any]: ...

    async def embed(
        self,
        texts: Iterable[str],
        *,
        as_array: bool = False,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> list[list[float]] | NDArray[Any]:
        """Return the vectors of texts. Each text has its own entry; missing ones are sent together.

        Args:
            texts: The texts. A repeated text is sent once.
            as_array: Whether to return a numpy array instead of lists. numpy must be installed.
            cache: What this call may do with the cache, as for :meth:`get_text`.
            sensitive: Whether the entries must be encrypted.
            **parameters: Passed to the provider's SDK.

        Returns:
            The vectors, in the order of the texts. As an array they are its rows, of 32-bit floats if those are exact.

        Raises:
            CacheMissError: A text misses in replay mode.
            ImportError: ``as_array`` is true and numpy is not installed.
            NotImplementedError: The provider has no embeddings.
            TypeError: ``texts`` is a string, or contains something else than strings.
            ValueError: ``cache`` is not a mode.
        """
        listed = list(texts)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in listed):
            raise TypeError(
                "texts must be a list of strings, such as ['one', 'another']; instead of token IDs, give the text that they encode"
            )
        requests = self._requests.embeddings(listed, parameters)
        from spark_cache.calls.embeddings import Embedder  # noqa: PLC0415 - not needed for text
        from spark_cache.providers.vectors import array_of, matrix_of, unpacked  # noqa: PLC0415 - not needed for text

        mode = mode_of_call(cache)
        if as_array:
            _require_numpy()
            rows = await Embedder(self._caller, array_of).embed(
                listed, requests, mode=mode, sensitive=sensitive
            )
            return matrix_of([rows[text] for text in listed])
        vectors = await Embedder(self._caller, unpacked).embed(
            listed, requests, mode=mode, sensitive=sensitive
        )
        if len(vectors) == len(listed):
            return [vectors[text] for text in listed]
        # A repeated text gets a list of its own.
        return [list(vectors[text]) for text in listed]

    # -- synchronous programs ------------------------------------------------------------------------------------

    def get_text_sync(
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
        """Like :meth:`get_text`, for synchronous programs.

        It works in any thread, also in one with a running event loop, such as a notebook. It blocks that thread.

        Raises:
            RuntimeError: An asynchronous function that a synchronous call runs calls it. Await :meth:`get_text` there.
        """
        return CallerThread().run(
            self.get_text(
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                cache=cache,
                sensitive=sensitive,
                sample=sample,
                **parameters,
            )
        )

    @overload
    def get_json_sync(
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
    def get_json_sync(
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

    def get_json_sync(
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
        """Like :meth:`get_json`, for synchronous programs. See :meth:`get_text_sync`."""
        answer: JsonResponse[Any] = CallerThread().run(
            self.get_json(
                output_model,
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                cache=cache,
                sensitive=sensitive,
                sample=sample,
                **parameters,
            )
        )
        return answer

    def stream_text_sync(
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
    ) -> SyncStream[StreamEvent]:
        """Like :meth:`stream_text`, for synchronous programs. See :meth:`get_text_sync`.

        Returns:
            An iterator of the events. A stream that is dropped early ends soon; ``close`` ends it at once. Use
            ``contextlib.closing`` to control when.
        """
        return SyncStream(
            self.stream_text(
                messages,
                system_prompt,
                tool_specs,
                tool_choice,
                replay_timing=replay_timing,
                cache=cache,
                sensitive=sensitive,
                sample=sample,
                **parameters,
            )
        )

    @overload
    def embed_sync(
        self,
        texts: Iterable[str],
        *,
        as_array: Literal[False] = False,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> list[list[float]]: ...

    @overload
    def embed_sync(
        self,
        texts: Iterable[str],
        *,
        as_array: Literal[True],
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> NDArray[Any]: ...

    def embed_sync(
        self,
        texts: Iterable[str],
        *,
        as_array: bool = False,
        cache: str = DEFAULT_MODE,
        sensitive: bool | None = None,
        **parameters: Any,
    ) -> list[list[float]] | NDArray[Any]:
        """Like :meth:`embed`, for synchronous programs. See :meth:`get_text_sync`."""
        # What yields the texts may have to run in this thread.
        listed = texts if isinstance(texts, str) else list(texts)
        vectors: list[list[float]] | NDArray[Any] = CallerThread().run(
            self.embed(listed, as_array=as_array, cache=cache, sensitive=sensitive, **parameters)  # type: ignore[call-overload]  # either overload
        )
        return vectors

    # -- responses and entries -----------------------------------------------------------------------------------

    def turn_of(self, response: ModelResponse) -> list[Any]:
        """Return a response as messages, to continue the conversation: ``messages += model.turn_of(response)``.

        The messages are in the provider's own form, so that nothing the provider wants back is lost: signed thinking,
        reasoning items, thought signatures. OpenAI keeps reasoning items by their ID for some weeks;
        ``include=["reasoning.encrypted_content"]`` includes their content in the response.

        Args:
            response: A response of this provider, new or from the cache.

        Returns:
            Messages, copied from the response; none if it is empty. A response without the provider's JSON gives a message
            with its text and tool calls.
        """
        own = None if response.raw is None else self._provider.turn_of(response)
        return turn_in_our_form(response) if own is None else [copied(message) for message in own]

    def cache_key(
        self,
        messages: Sequence[Any],
        system_prompt: str | None = None,
        tool_specs: Sequence[Any] | None = None,
        tool_choice: Any = None,
        *,
        output_model: Any = None,
        cache: str = DEFAULT_MODE,  # noqa: ARG002 - accepts the arguments of get_text unchanged
        sensitive: bool | None = None,
        sample: int | None = None,
        **parameters: Any,
    ) -> CacheKey:
        """Return the key that :meth:`get_text` and :meth:`stream_text` use for these arguments.

        Args:
            messages: The conversation.
            system_prompt: System instructions.
            tool_specs: The tools that the model may call.
            tool_choice: The tool that the model should call.
            output_model: The first argument of :meth:`get_json`, for the key that :meth:`get_json` uses.
            cache: Ignored.
            sensitive: Whether the request is sensitive. Nothing of a sensitive request is kept in memory.
            sample: The number of this sample.
            **parameters: The parameters of the call.

        Raises:
            UncacheableRequestError: The request holds a value that cannot be keyed exactly.
        """
        schema = None
        if output_model is not None:
            from spark_cache.calls.structured import Output  # noqa: PLC0415 - not needed for text

            schema = Output(output_model).schema
        request = self._requests.build(
            messages, system_prompt, tool_specs, tool_choice, sample, parameters, schema
        )
        return self.cache.key(request, sensitive=bool(sensitive))

    def has_entry(self, messages: Sequence[Any], *arguments: Any, **options: Any) -> bool:
        """Return whether the cache holds an entry for a request, expired or not.

        Args:
            messages: The conversation.
            *arguments: As for :meth:`cache_key`.
            **options: As for :meth:`cache_key`.
        """
        return self.cache.has_entry(self.cache_key(messages, *arguments, **options))

    def remove_entry(self, messages: Sequence[Any], *arguments: Any, **options: Any) -> bool:
        """Remove the entry for a request. Return whether there was one.

        Args:
            messages: The conversation.
            *arguments: As for :meth:`cache_key`.
            **options: As for :meth:`cache_key`.
        """
        return self.cache.remove_entry(self.cache_key(messages, *arguments, **options))

    async def aclose(self) -> None:
        """Close the connections that this model opened on the running event loop, and write what the cache holds in memory.

        A client of yours stays open. The model can still be used.
        """
        self._caller.flush()
        await self._provider.aclose()

    def close(self) -> None:
        """Do what :meth:`aclose` does, for the connections that synchronous methods opened, in whichever thread."""
        CallerThread().run(self.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _require_numpy() -> None:
    if find_spec("numpy") is None:
        raise ImportError("embed(as_array=True) needs numpy; install it with: pip install numpy")
