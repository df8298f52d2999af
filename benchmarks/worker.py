"""A process for each contender: what it imports and leaves behind touches no other."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from typing import TYPE_CHECKING, Any, Self

from benchmarks.session import Session

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import TracebackType

__all__ = ["NotMeasuredError", "Worker", "quiet_environment"]

_STOP_SECONDS = 10


class NotMeasuredError(Exception):
    """A contender could not be asked; the message says why."""


class Worker:
    """A contender in a process of its own, which runs one method of a :class:`Session` at a time.

    Args:
        name: The contender's name.
        directory: Where it keeps its entries; made if it does not exist.
        cap_bytes: How large it may grow; None is without limit.
    """

    def __init__(self, name: str, directory: str, cap_bytes: int | None = None) -> None:
        os.makedirs(directory, exist_ok=True)
        self.name = name
        # Spawned, not forked: nothing of this process is in the measured one.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, directory, cap_bytes), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Run a method of the session and wait for what it returns.

        Raises:
            NotMeasuredError: The contender cannot be loaded, or raised.
        """
        self.begin(method, *arguments)
        return self.result()

    def begin(self, method: str, *arguments: Any) -> None:
        """Start a method of the session, to be waited for with :meth:`result`."""
        try:
            self._pipe.send((method, arguments))
        except OSError:
            raise NotMeasuredError("its process ended") from None

    def result(self) -> Any:
        """What the method that was begun returns.

        Raises:
            NotMeasuredError: The contender cannot be loaded, or raised.
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
    """Variables under which no library reads its user's settings, writes to its user's home or asks the network."""
    return {
        "HOME": home,
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_DATA_HOME": f"{home}/data",
        "DSPY_CACHEDIR": f"{home}/dspy",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _serve(pipe: Connection, name: str, directory: str, cap_bytes: int | None) -> None:
    session: Session | None = None
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if session is None:
                session = Session(name, directory, cap_bytes)
                warnings.simplefilter(
                    "ignore"
                )  # after the imports: some libraries turn their own warnings on
            pipe.send((None, getattr(session, method)(*arguments)))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is why it is not measured
            pipe.send((_reason(error), None))


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
