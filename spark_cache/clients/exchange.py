"""One HTTP request of a client through the cache: looked up, sent, judged and stored as a call of a model is.

What the provider sends reaches the client as it arrives, byte for byte. What comes from the cache is written in the same form.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from spark_cache.calls.answer import AnswerSpec, Recorded
from spark_cache.calls.caller import Caller
from spark_cache.clients.http import OK, Arriving, NoAnswerError, Reply, Sent, end, marks
from spark_cache.clients.sse import dumped
from spark_cache.core.plan import Hit
from spark_cache.manager import CacheManager
from spark_cache.types import MissReason, Mode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from spark_cache.clients.call_options import CallOptions
    from spark_cache.clients.http import Upstream
    from spark_cache.clients.recognise import Recognised
    from spark_cache.config import CacheConfig
    from spark_cache.core.plan import Miss, Plan

__all__ = ["Exchange", "Pending"]


class Exchange:
    """Answers the requests of one client.

    Args:
        manager: The manager of the cache.
    """

    def __init__(self, manager: CacheManager) -> None:
        self.manager = manager

    @classmethod
    def of(
        cls, config: CacheConfig | None, manager: CacheManager | None, settings: Mapping[str, Any]
    ) -> Exchange:
        """Return what answers from the cache of a manager, or of a configuration.

        Args:
            config: The configuration; None loads it.
            manager: A manager, instead of a configuration.
            settings: Single settings of the configuration.

        Raises:
            ConfigError: The configuration cannot be used.
            ValueError: A manager is given together with something else.
        """
        if manager is not None:
            if config is not None or settings:
                raise ValueError("give cache_manager alone: it has its own configuration")
            return cls(manager)
        from spark_cache.config import load_config  # noqa: PLC0415 - the first configuration imports pydantic

        if config is None:
            return cls(CacheManager.shared(load_config(**settings)))
        return cls(CacheManager.shared(config.with_(**settings) if settings else config))

    @property
    def is_off(self) -> bool:
        """Whether the configuration caches nothing and refuses nothing."""
        config = self.manager.config
        return not (config.enabled or config.rules or config.mode is Mode.REPLAY)

    def look_up(self, recognised: Recognised, options: CallOptions) -> Reply | Pending | None:
        """Answer a request from the cache, or return what is left to do; None if the cache is off for it.

        Args:
            recognised: The request.
            options: What the call asks of the cache.

        Raises:
            CacheMissError: The call misses in replay mode.
        """
        recognised = recognised._replace(request=recognised.request._replace(sample=options.sample))
        # Calls of one client share the error of the provider.
        caller = Caller(recognised.provider, self.manager, None, client=self)
        calls = caller.calls
        plan = calls.plan(recognised.request, mode=options.mode, sensitive=options.sensitive)
        found = caller.look_up(calls, recognised.request, plan, _spec(recognised))
        if isinstance(found, Hit):
            return _replayed(recognised, found.answer, "hit", calls.entry_name(plan))
        return None if found.reason is MissReason.DISABLED else Pending(recognised, caller, plan, found)


class Pending:
    """A request that the cache cannot answer.

    Args:
        recognised: The request.
        caller: Calls its provider.
        plan: What the call may do with the cache.
        missed: Why the cache cannot answer.
    """

    def __init__(self, recognised: Recognised, caller: Caller, plan: Plan, missed: Miss) -> None:
        self._recognised = recognised
        self._caller = caller
        self._calls = caller.calls
        self._plan = plan
        self._missed = missed

    async def fetch(
        self, send: Callable[[], Awaitable[Upstream]], patience_seconds: float | None = None
    ) -> Reply:
        """Get the response from the provider, or from an equal call that is running.

        Args:
            send: Sends the request.
            patience_seconds: How long the client waits for a provider to answer; None is no limit.

        Raises:
            Exception: What ``send`` raises.
            WaitedTooLongError: An equal call takes longer than that.
        """
        recognised, sent, name = self._recognised, Sent(), self._calls.entry_name(self._plan)
        recognised.provider.begin(send, sent, name)
        spec = _spec(recognised)
        # A task of its own, because equal calls may wait for its response and outlast this caller.
        call = asyncio.create_task(
            self._caller.fetch(self._calls, recognised.request, self._plan, self._missed, spec)
        )
        opened = asyncio.create_task(sent.opened.wait())
        try:
            either = {call, opened}
            await asyncio.wait(either, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED)
            sent.require_asked(unless=call.done())
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if sent.opened.is_set() and sent.reply is not None:
                return sent.reply._replace(body=Arriving(sent, call))
            recorded = await call
        except NoAnswerError as error:
            return error.reply if sent.is_asked else _marked_as_shared(error.reply)
        except BaseException as error:
            await end(call)
            if sent.reply is None or not isinstance(error, Exception):
                raise
            # The library cannot read the response. The client may.
            return sent.reply
        finally:
            opened.cancel()
        if sent.reply is not None:
            return sent.reply
        return _replayed(recognised, spec.parse(recorded), "shared", name)


def _ignore(_event: Any) -> None:
    """Do nothing with an event: its bytes have been passed on."""


def _spec(recognised: Recognised) -> AnswerSpec:
    """Return what a client wants: a body, or the pieces of a stream."""
    written = _pieces if recognised.is_stream else _body

    def parse(recorded: Recorded) -> bytes | list[bytes] | MissReason:
        try:
            return written(recognised, recorded)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # The entry was stored by another program, or edited.
            return MissReason.UNSUITABLE

    return AnswerSpec(parse, on_event=_ignore if recognised.is_stream else None)


def _body(_: Recognised, recorded: Recorded) -> bytes | MissReason:
    response, events = recorded
    if response.raw is None or (events is not None and response.usage is None):
        return MissReason.UNSUITABLE
    return dumped(response.raw)


def _pieces(recognised: Recognised, recorded: Recorded) -> list[bytes] | MissReason:
    response, timed = recorded
    if timed is not None:
        events = [event for _, event in timed]
    elif response.raw is not None:
        events = list(recognised.provider.events_of(response.raw))
    else:
        return MissReason.UNSUITABLE
    if recognised.wants_usage and response.usage is None:
        return MissReason.UNSUITABLE
    if recognised.wants_usage is False:
        events = [_without_usage(event) for event in events if event.get("choices") or not event.get("usage")]
    return [*map(recognised.events.written, events), recognised.events.last]


def _without_usage(event: Any) -> Any:
    """Return a chunk as it is if the client does not ask for the usage: without the field that is empty till the last one."""
    is_empty = "usage" in event and event["usage"] is None
    return {name: value for name, value in event.items() if name != "usage"} if is_empty else event


def _replayed(recognised: Recognised, body: bytes | list[bytes], came_to: str, name: str | None) -> Reply:
    kind = recognised.events.content_type if recognised.is_stream else b"application/json"
    headers = [(b"content-type", kind), *marks(came_to, name)]
    if isinstance(body, bytes):
        return Reply(OK, [*headers, (b"content-length", str(len(body)).encode())], body, {})
    return Reply(OK, headers, body, {})


def _marked_as_shared(reply: Reply) -> Reply:
    mark, *_ = marks("shared", None)
    return reply._replace(
        headers=[mark if name.lower() == mark[0] else (name, value) for name, value in reply.headers]
    )
