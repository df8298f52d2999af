"""Helpers for all SDKs: late import, and one client for each event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import finalize

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import ModuleType

__all__ = ["LoopClients", "import_sdk", "refuse_both"]

C = TypeVar("C")


def import_sdk(module: str, extra: str) -> ModuleType:
    """Import a provider's SDK, which a hit never needs.

    Args:
        module: The module.
        extra: The extra that installs the SDK.

    Raises:
        ModuleNotFoundError: The SDK is not installed. The message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}; it is required for calls that miss the cache: pip install 'spark-cache[{extra}]'",
            name=error.name,
        ) from None


def refuse_both(client: object, client_args: Mapping[str, Any] | None) -> None:
    """Refuse a client together with arguments for clients.

    Args:
        client: The client of the caller.
        client_args: Arguments for the clients that the model creates.

    Raises:
        ValueError: Both are given.
    """
    if client is not None and client_args:
        raise ValueError(
            "give client or client_args, not both: client_args are for clients that the model creates"
        )


class LoopClients(Generic[C]):
    """The clients that a model creates, one for each event loop, because connections belong to the loop that opened them.

    Args:
        make: Creates a client.
        close: Closes a client.
    """

    def __init__(self, make: Callable[[], C], close: Callable[[C], Coroutine[Any, Any, object]]) -> None:
        self._make = make
        self._close = close
        self._lock = Lock()
        self._clients: dict[asyncio.AbstractEventLoop, C] = {}
        # A client that is collected while another loop runs would try to close its connections on that loop.
        finalize(self, _abandon, self._clients, close).atexit = False

    def __getstate__(self) -> tuple[Any, ...]:
        return self._make, self._close

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        LoopClients.__init__(self, *state)

    def get(self) -> C:
        """Return the client for the running event loop. It is created on first use."""
        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._clients.get(loop)
            if client is None:
                # A closed loop is never used again. Its client would keep it and the connections alive.
                closed = {other: self._clients.pop(other) for other in [*self._clients] if other.is_closed()}
                _abandon(closed, self._close)
                client = self._clients[loop] = self._make()
        return client

    async def aclose(self) -> None:
        """Close the client of the running event loop, if there is one."""
        with self._lock:
            client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await self._close(client)


def _abandon(
    clients: Mapping[asyncio.AbstractEventLoop, C], close: Callable[[C], Coroutine[Any, Any, object]]
) -> None:
    """Mark the clients of closed loops as closed. Their connections ended with their loops."""
    for loop, client in clients.items():
        if loop.is_closed():
            closing = close(client)
            # The first step marks the client. The next one would need its loop.
            with suppress(Exception):
                closing.send(None)
            closing.close()
