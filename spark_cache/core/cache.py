"""One configuration applied to one cache directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spark_cache.core.directory import open_directory
from spark_cache.core.entry_names import EntryNames
from spark_cache.core.key_ring import key_ring
from spark_cache.core.lookup import Lookup
from spark_cache.core.plan import Planner
from spark_cache.core.telemetry import Recorder
from spark_cache.core.write import Writer
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spark_cache.config import CacheConfig
    from spark_cache.core.directory import Directory
    from spark_cache.core.plan import Miss
    from spark_cache.events import Sink
    from spark_cache.keys import DigestMemo

__all__ = ["Cache", "Opened"]


class Opened(NamedTuple):
    """What works on an open directory.

    Attributes:
        directory: The state that everyone who uses the directory shares.
        recorder: Counts and logs what calls come to.
        lookup: Reads entries.
        writer: Writes entries.
    """

    directory: Directory
    recorder: Recorder
    lookup: Lookup
    writer: Writer


class Cache:
    """The parts that a lookup and a write need, for one configuration. A reload makes another one.

    The directory is opened on first use, so a cache that is off opens none.

    Args:
        config: The configuration.
        clock: Returns the time in seconds since the epoch.
        sink: Receives events.
        memo: Digests of long values that were hashed before.

    Attributes:
        opened: What :meth:`open` returned, if it was called.
    """

    def __init__(
        self, config: CacheConfig, *, clock: Callable[[], float], sink: Sink, memo: DigestMemo
    ) -> None:
        self.config = config
        self.ring = key_ring(config)
        self.planner = Planner(config, memo, has_key=self.ring is not None)
        self.opened: Opened | None = None
        self._clock = clock
        self._sink = sink

    @property
    def path(self) -> Path:
        """The cache directory, absolute. It may not exist yet."""
        if self.config.cache_dir is not None:
            return self.config.cache_dir
        from spark_cache.config.context import ConfigContext  # noqa: PLC0415 - a loaded configuration has its directory

        return ConfigContext.of().default_cache_dir

    def open(self) -> Opened:
        """Return the parts that work on the directory, which is opened on first use."""
        # Not functools.cached_property: before Python 3.12 it holds a lock, which a forked child may inherit locked.
        opened = self.opened
        if opened is None:
            directory = open_directory(str(self.path), self.config, clock=self._clock, sink=self._sink)
            recorder = Recorder(directory, profile=self.config.profile, sink=self._sink, ring=self.ring)
            names = EntryNames(self.ring)
            lookup = Lookup(directory, self.config, ring=self.ring, names=names, recorder=recorder)
            writer = Writer(lookup, self.config, ring=self.ring)
            opened = self.opened = Opened(directory, recorder, lookup, writer)
        return opened

    def warn_once(self, operation: str, error: str, *, hint: str | None = None) -> None:
        """Warn that an operation around the cache failed, once for each cause.

        Args:
            operation: The operation.
            error: The cause.
            hint: The way out.
        """
        self.open().directory.warn_once(operation, error, profile=self.config.profile, hint=hint)

    def warn_of_refusal(self, refusal: Miss) -> None:
        """Warn once that a request bypasses the cache, where its author would not expect it."""
        if refusal.reason is MissReason.UNCACHEABLE:
            self.warn_once("cache a request", refusal.detail or "")
        elif refusal.reason is MissReason.SENSITIVE:
            self.warn_once(
                "cache a sensitive request",
                "encryption is off or has no key",
                hint="set SPARK_CACHE_ENCRYPTION_KEY or SPARK_CACHE_ENCRYPTION_KEY_FILE",
            )
