"""The cache for every client of a process, whoever makes it: the transports of httpx and httpx2 answer from the cache."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any

from spark_cache._lazy import at_fork
from spark_cache.clients.aws import handle_aws
from spark_cache.clients.exchange import Exchange
from spark_cache.clients.patches import Patch, Patches
from spark_cache.clients.transports import handle_async, handle_sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from spark_cache.config import CacheConfig
    from spark_cache.manager import CacheManager

__all__ = ["install", "installed", "uninstall"]


class _Installed:
    """What is installed now. Each installation replaces the one before until it is undone."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.exchanges: tuple[Exchange, ...] = ()
        at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Use a new lock in a forked child, which stays installed."""
        self.lock = Lock()

    def add(self, exchange: Exchange) -> None:
        """Install what answers requests."""
        with self.lock:
            self.exchanges = (*self.exchanges, exchange)
            _patches.start()

    def remove(self, exchange: Exchange | None) -> None:
        """Undo an installation; None is the last one."""
        with self.lock:
            left = list(self.exchanges)
            for number in reversed(range(len(left))):
                if exchange is None or left[number] is exchange:
                    del left[number]
                    break
            self.exchanges = tuple(left)
            if not left:
                _patches.stop()


_state = _Installed()


def install(
    *, cache_config: CacheConfig | None = None, cache_manager: CacheManager | None = None, **settings: Any
) -> None:
    """Let every client of this process that uses httpx, httpx2 or boto3 go through the cache, until :func:`uninstall`.

    It makes no difference who makes the clients, and whether before or after. Only responses from the network are stored, so
    those of test doubles are not. Each call needs its own :func:`uninstall`; the last one decides.

    Asynchronous clients of ``google.genai`` use httpx2 instead of aiohttp, except those with an ``aiohttp_client`` of yours
    or a client certificate, which do not go through the cache.

    Args:
        cache_config: The configuration; None loads it with :func:`spark_cache.load_config`.
        cache_manager: A manager of yours, instead of a configuration.
        **settings: Settings of the configuration, such as ``enabled`` or ``cache_dir``.

    Raises:
        ConfigError: The configuration cannot be used.
        ValueError: ``cache_manager`` is given together with something else.
    """
    _state.add(Exchange.of(cache_config, cache_manager, settings))


def uninstall() -> None:
    """Undo the last :func:`install`. Does nothing if nothing is installed."""
    _state.remove(None)


@contextmanager
def installed(
    *, cache_config: CacheConfig | None = None, cache_manager: CacheManager | None = None, **settings: Any
) -> Iterator[None]:
    """Install the cache for a block; arguments and errors as for :func:`install`.

    Blocks in several threads or tasks may overlap: the end of each undoes its own installation.

    Args:
        cache_config: The configuration.
        cache_manager: A manager of yours.
        **settings: Settings of the configuration.
    """
    exchange = Exchange.of(cache_config, cache_manager, settings)
    _state.add(exchange)
    try:
        yield
    finally:
        _state.remove(exchange)


def _asking_first_async(send: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @wraps(send)
    async def handle_async_request(self: Any, request: Any) -> Any:
        exchanges = _state.exchanges
        if not exchanges:
            return await send(self, request)
        return await handle_async(exchanges[-1], request, lambda sent: send(self, sent), only_genuine=True)

    return handle_async_request


def _asking_first(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def handle_request(self: Any, request: Any) -> Any:
        exchanges = _state.exchanges
        if not exchanges:
            return send(self, request)
        return handle_sync(exchanges[-1], request, lambda sent: send(self, sent), only_genuine=True)

    return handle_request


def _asking_first_aws(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def send_or_answer(self: Any, request: Any) -> Any:
        exchanges = _state.exchanges
        answer = handle_aws(exchanges[-1], request, lambda sent: send(self, sent)) if exchanges else None
        return send(self, request) if answer is None else answer

    return send_or_answer


def _without_aiohttp(uses_aiohttp: Callable[[Any], bool]) -> Callable[..., Any]:
    @wraps(uses_aiohttp)
    def _use_aiohttp(self: Any) -> bool:
        exchanges = _state.exchanges
        if not exchanges or exchanges[-1].is_off or not uses_aiohttp(self):
            return uses_aiohttp(self)
        # The SDK asks once while it makes the client, which may outlast the installation and needs the settings of both.
        is_made = hasattr(self, "_async_client_session_request_args")
        has_both = getattr(self, "_async_httpx_client", None) is not None
        return not (is_made and has_both) or getattr(self._http_options, "aiohttp_client", None) is not None

    return _use_aiohttp


_patches = Patches(
    [
        *(
            Patch(library, kind, method, replace)
            for library in ("httpx2", "httpx")
            for kind, method, replace in (
                ("AsyncHTTPTransport", "handle_async_request", _asking_first_async),
                ("HTTPTransport", "handle_request", _asking_first),
            )
        ),
        Patch("botocore.httpsession", "URLLib3Session", "send", _asking_first_aws),
        Patch("google.genai._api_client", "BaseApiClient", "_use_aiohttp", _without_aiohttp),
    ]
)
