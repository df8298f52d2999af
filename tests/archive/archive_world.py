"""Helpers for the archive tests."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_cache import CacheConfig, CacheManager
from spark_cache.archive import export_entries, import_entries, inspect
from spark_cache.core.directory import open_directory
from spark_cache.entries.keyring import KeyRing
from spark_cache.events import StructlogSink
from spark_cache.stores import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_700_000_000.0

EARLIER_FORMAT = Path(__file__).with_name("earlier_format.tar.gz")
"""An archive with the headers of earlier versions: one entry with a short path and two with long ones."""


def fixed_clock() -> float:
    """Return the time of every test, in seconds since the epoch."""
    return NOW


class Cache:
    """A cache directory, with the operations of the commands."""

    def __init__(self, root: Path, *, keys: tuple[str, ...] = (), **values: Any) -> None:
        self.root = root
        self.age = 0.0
        config = CacheConfig(
            **{
                "enabled": True,
                "cache_dir": root,
                "encryption_keys": list(keys),
                "store_requests": True,
                **values,
            }
        )
        self.manager = CacheManager(config, clock=lambda: NOW - self.age)
        self.ring = KeyRing(keys) if keys else None

    @property
    def store(self) -> FileStore:
        """The file store of the directory."""
        found = open_directory(
            str(self.root), self.manager.config, clock=fixed_clock, sink=StructlogSink()
        ).store
        assert isinstance(found, FileStore)
        return found

    def fill(self, text: str, answer: str | None = None, *, age: float = 0.0, **options: Any) -> str:
        """Store a response and return its key."""
        self.age = age
        model = options.pop("model", "gpt-4o")
        messages = [{"role": "user", "content": text}]
        key = self.manager.generate_cache_key("openai", model, messages)
        response = {"content": answer or f"Answer to {text}", "stop_reason": "end_turn", "usage": None}
        response |= options.pop("response", {})
        assert self.manager.set(key, "openai", model, {"messages": messages}, response, **options)
        return key

    def export(self, target: Path, wanted: Callable[[Any], bool] = lambda _entry: True) -> Any:
        """Export the wanted entries."""
        return export_entries(self.store, str(target), ring=self.ring, wanted=wanted, step=lambda: None)

    def inspect(self, source: Path, *, plain: bool = True, room: float | None = None) -> Any:
        """Check an archive without importing it."""
        return inspect(
            str(source),
            ring=self.ring,
            may_be_plain=lambda _entry: plain,
            now=NOW,
            room_bytes=room,
            step=lambda: None,
        )

    def take_in(self, source: Path) -> Any:
        """Check an archive and import it."""
        self.inspect(source)
        return import_entries(self.store, str(source), ring=self.ring, now=NOW, step=lambda: None)

    def files(self) -> dict[str, bytes]:
        """Return the entry files by their paths in the directory."""
        found = self.root.glob("*/*/*.json")
        return {
            str(path.relative_to(self.root)): path.read_bytes() for path in found if path.parts[-3][0] != "."
        }


def unpacked(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Return the members of an archive, as any tar program sees them."""
    with tarfile.open(archive, "r:gz") as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def packed(members: list[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.USTAR_FORMAT) -> bytes:  # noqa: A002 - the name that tarfile uses
    """Return an archive as another tar program would write it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=format) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)
