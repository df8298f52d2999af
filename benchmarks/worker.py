"""A separate process for each contender, so that its imports and leftovers do not affect the others."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from benchmarks.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from types import TracebackType

__all__ = ["NotMeasuredError", "Worker", "quiet_environment"]

_STOP_SECONDS = 10


class NotMeasuredError(Exception):
    """A contender could not be measured; the message says why."""


class Worker:
    """A contender in a separate process, which runs one method of its session at a time.

    Args:
        name: The name of the contender.
        directory: The directory of its entries; created if it does not exist.
        *arguments: Further arguments of the session.
        session: The class of the session, which is created in the process.
    """

    def __init__(
        self, name: str, directory: str, *arguments: Any, session: Callable[..., object] = Session
    ) -> None:
        os.makedirs(directory, exist_ok=True)
        self.name = name
        # The process is spawned, not forked, so that it inherits nothing from this one.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, partial(session, name, directory, *arguments)), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Run a method of the session and wait for its result.

        Args:
            method: The name of the method.
            arguments: The arguments of the method.

        Raises:
            NotMeasuredError: The contender could not be loaded, or raised an exception.
        """
        self.begin(method, *arguments)
        return self.result()

    def begin(self, method: str, *arguments: Any) -> None:
        """Start a method of the session; :meth:`result` waits for its result.

        Args:
            method: The name of the method.
            arguments: The arguments of the method.

        Raises:
            NotMeasuredError: The process of the contender has ended.
        """
        try:
            self._pipe.send((method, arguments))
        except OSError:
            raise NotMeasuredError("its process ended") from None

    def result(self) -> Any:
        """Wait for the method that was started, and return its result.

        Raises:
            NotMeasuredError: The contender could not be loaded, or raised an exception.
        """
        try:
            reason, value = self._pipe.recv()
        except (EOFError, OSError):
            raise NotMeasuredError("its process ended") from None
        if reason is not None:
            raise NotMeasuredError(reason)
        return value

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def quiet_environment(home: str) -> dict[str, str]:
    """Return environment variables that keep libraries from using the user's settings, the user's home or the network.

    Args:
        home: The directory to use as home.
    """
    return {
        "HOME": home,
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_DATA_HOME": f"{home}/data",
        "DSPY_CACHEDIR": f"{home}/dspy",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _serve(pipe: Connection, start: Callable[[], object]) -> None:
    session: object | None = None
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if session is None:
                session = start()
                warnings.simplefilter(
                    "ignore"
                )  # after the imports, because some libraries enable their own warnings
            pipe.send((None, getattr(session, method)(*arguments)))
        except Exception as error:  # noqa: BLE001 - any exception is the reason why it is not measured
            pipe.send((_reason(error), None))


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
