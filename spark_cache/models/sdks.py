"""What all SDKs have in common: they are imported late, their clients belong to event loops, and some parameters are not theirs to take."""

from __future__ import annotations

import asyncio
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

__all__ = ["LoopClients", "import_sdk", "refuse_both", "refuse_reserved", "refuse_stream"]

C = TypeVar("C")


def import_sdk(module: str, extra: str) -> ModuleType:
    """Import a provider's SDK, which a hit never needs.

    Args:
        module: The module.
        extra: The extra that installs it.

    Raises:
        ModuleNotFoundError: It is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}; a call that the cache does not answer needs it: pip install 'spark-cache[{extra}]'",
            name=error.name,
        ) from None


def refuse_both(client: object, client_args: Mapping[str, Any] | None) -> None:
    """Refuse a client together with arguments for another.

    Raises:
        ValueError: Both are given.
    """
    if client is not None and client_args:
        raise ValueError(
            "give client or client_args, not both: client_args are for the client that is made here"
        )


def refuse_reserved(parameters: Mapping[str, Any], names: frozenset[str]) -> None:
    """Refuse parameters that a model or its messages set.

    Args:
        parameters: The parameters of a call.
        names: The reserved names.

    Raises:
        TypeError: A reserved name is among the parameters.
    """
    if not names.isdisjoint(parameters):
        name = next(name for name in parameters if name in names)
        raise TypeError(
            f"{name!r} is not a parameter of a call: give it to the model, or as an argument of get_text"
        )


def refuse_stream(parameters: dict[str, Any]) -> None:
    """Refuse a call that asks for a stream by a parameter; to ask for none is left out.

    Raises:
        TypeError: It does.
    """
    if parameters.pop("stream", None):
        raise TypeError("leave out stream=True: stream_text streams, and get_text answers in one piece")


class LoopClients(Generic[C]):
    """The clients that are made here, one for each event loop: connections belong to the loop that opened them.

    Args:
        make: Makes a client.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._clients: dict[asyncio.AbstractEventLoop, C] = {}
        self._lock = Lock()

    def get(self) -> C:
        """The client for the running event loop, made when it is first asked for."""
        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._clients.get(loop)
            if client is None:
                # A loop that is closed never comes back; its client would keep it and the connections alive.
                self._clients = {
                    known: kept for known, kept in self._clients.items() if not known.is_closed()
                }
                client = self._clients[loop] = self._make()
        return client

    def pop(self) -> C | None:
        """Give up the client of the running event loop, for whoever closes it; None where there is none."""
        with self._lock:
            return self._clients.pop(asyncio.get_running_loop(), None)
