"""An export that is killed leaves nothing beside its target."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 6


@pytest.fixture
def large(cache):
    """Return a cache whose export takes about a second, because its responses cannot be compressed."""
    for number in range(30):
        cache.fill(f"Question {number}", random.Random(number).randbytes(400_000).hex())
    return cache


def export(cache, target):
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, "-m", "spark_cache.cli", "export", str(target), "--dir", str(cache.root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_archive(process, folder):
    """Wait until a process has an open file in a folder, with or without a name."""
    while process.poll() is None:
        for descriptor in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                if os.readlink(descriptor).startswith(f"{folder}/"):
                    return
            except OSError:
                continue
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
@pytest.mark.parametrize("existing", [None, b"the old archive"], ids=["new", "existing"])
def test_a_killed_export_leaves_nothing(large, other, tmp_path, existing):
    """At any moment of the export, the folder contains the old archive or the complete new one, and nothing else."""
    folder = tmp_path / "archives"
    folder.mkdir()
    target = folder / "entries.tar.gz"
    started = time.monotonic()
    large.export(tmp_path / "whole.tar.gz")
    duration = time.monotonic() - started
    complete = (tmp_path / "whole.tar.gz").read_bytes()
    chance = random.Random(1)
    killed = 0
    for _ in range(KILLS):
        target.unlink(missing_ok=True)
        if existing is not None:
            target.write_bytes(existing)
        process = export(large, target)
        wait_for_archive(process, folder)
        time.sleep(chance.uniform(0, duration))
        process.kill()
        killed += process.wait() == -signal.SIGKILL

        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        # A complete copy remains if the kill hits the one moment between the two steps of a replacement.
        left = {name: data for name, data in left.items() if name == target.name or data != complete}
        assert left.get(target.name) in (existing, complete)
        assert left.keys() <= {target.name}

    assert killed >= KILLS // 2
    assert export(large, target).wait() == 0
    assert other.take_in(target).placed == 30


@pytest.mark.parametrize("existing", [True, False])
def test_a_system_without_unnamed_files(cache, archive, monkeypatch, existing):
    """The archive is then written under a temporary name, which is gone afterwards."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    cache.fill("Question")
    if existing:
        archive.write_bytes(b"the old archive")

    assert cache.export(archive).entries == 1

    assert [path.name for path in archive.parent.iterdir() if "tar" in path.name] == [archive.name]


def test_an_archive_is_private(cache, archive):
    """Only its owner can read an archive, even if the one that it replaces was public."""
    cache.fill("Question")
    archive.touch(mode=0o644)
    for _ in range(2):
        cache.export(archive)
        assert archive.stat().st_mode & 0o777 == 0o600
        archive.unlink()
