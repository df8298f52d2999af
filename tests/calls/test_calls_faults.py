"""A broken cache never breaks a call: the caller gets the response, one warning names the cause, and nothing else is harmed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from models_world import QUESTION, ask, entry_files, run_python

OTHER = ask("Another question")

# If started as root, this code switches to another user, because permissions do not apply to root. It loads all lazy imports
# first, because the interpreter's files may belong to root.
AS_ANOTHER_USER = """
import asyncio, json, logging, os, sys, tempfile
from spark_cache import Model, ModelResponse
from spark_cache.models import Provider

class Echo(Provider):
    name = "echo"
    def endpoint(self): return None
    async def call(self, request): return {"said": "Hello"}
    def read(self, raw): return ModelResponse(raw["said"], "end_turn", raw=raw)

class Kept(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())

warnings = []
logging.getLogger("spark_cache").addHandler(Kept())
logging.getLogger("spark_cache").setLevel("INFO")

async def ask(cache_dir, times):
    async with Model("echo-1", Echo(), enable_cache=True, cache_dir=cache_dir) as model:
        responses = [await model.get_text([{"role": "user", "content": "Hi"}]) for _ in range(times)]
    assert all(response.content == "Hello" for response in responses)
    return [response.cached for response in responses]

with tempfile.TemporaryDirectory() as elsewhere:
    asyncio.run(ask(elsewhere, 2))
warnings.clear()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps([asyncio.run(ask(sys.argv[1], 3)), warnings]))
"""

is_root = os.geteuid() == 0


@pytest.fixture
def open_folder():
    """A folder that another user can access."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        path.chmod(0o755)
        yield path


@pytest.fixture
def call_as_another_user():
    """Return a function that makes a call three times as an unprivileged user and returns which were hits, and the warnings."""

    def run(cache_dir):
        done = run_python(AS_ANOTHER_USER, cache_dir)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def chown_to_other_user(path: Path) -> None:
    """Make the unprivileged user of the child the owner of a path."""
    if is_root:
        os.chown(path, 65534, 65534)


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "closed"])
def test_directory_that_cannot_be_written(open_folder, call_as_another_user, mode):
    """A directory without write permission is reported once, however many calls there are."""
    cache_dir = open_folder / "cache"
    cache_dir.mkdir(mode=mode)
    cache_dir.chmod(mode)
    chown_to_other_user(cache_dir)
    cached, warnings = call_as_another_user(cache_dir)
    assert cached == [False] * 3
    (warning,) = warnings
    assert "EACCES" in warning
    assert str(cache_dir) in warning


def test_directory_that_cannot_be_created(open_folder, call_as_another_user):
    """A directory that cannot be created is reported once."""
    if not is_root:
        open_folder.chmod(0o555)
    cached, warnings = call_as_another_user(open_folder / "cache")
    assert cached == [False] * 3
    (warning,) = warnings
    assert "EACCES" in warning


@pytest.mark.skipif(not is_root, reason="only root can make another user's directory")
def test_directory_of_another_user(open_folder, call_as_another_user):
    """A directory of another user is not written to, even if its permissions allow it."""
    cache_dir = open_folder / "cache"
    cache_dir.mkdir()
    cache_dir.chmod(0o777)
    # Not root's: a writable directory of root is the mount point of a volume.
    os.chown(cache_dir, 65533, 65533)
    cached, warnings = call_as_another_user(cache_dir)
    assert cached == [False] * 3
    assert list(cache_dir.iterdir()) == []
    (warning,) = warnings
    assert "belongs to another user" in warning


def test_entry_that_cannot_be_read(open_folder, call_as_another_user):
    """An unreadable entry is reported once and replaced."""
    cache_dir = open_folder / "cache"
    cache_dir.mkdir()
    chown_to_other_user(cache_dir)
    assert call_as_another_user(cache_dir)[0] == [False, True, True]
    (path,) = entry_files(cache_dir)
    path.chmod(0o000)
    cached, warnings = call_as_another_user(cache_dir)
    assert cached == [False, True, True]
    (warning,) = warnings
    assert "EACCES" in warning


async def test_directory_is_a_file(make_model, provider, cache_dir, warned):
    """A file in place of the directory is reported once and left unchanged."""
    cache_dir.write_text("not a cache")
    model = make_model()
    for _ in range(3):
        assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 3
    assert cache_dir.read_text() == "not a cache"
    (warning,) = warned()
    assert "ENOTDIR" in warning


async def test_hidden_folder_is_a_file(make_model, cache_dir, warned):
    """A file in place of the hidden folder is reported once."""
    cache_dir.mkdir(mode=0o700)
    (cache_dir / ".spark-cache").write_text("not a folder")
    model = make_model()
    for _ in range(3):
        assert not (await model.get_text(QUESTION)).cached
    (warning,) = warned()
    assert "operation=write" in warning


async def test_directory_deleted_while_running(make_model, provider, cache_dir, warned):
    """A directory that is deleted while a program runs is created again, without a warning."""
    model = make_model()
    await model.get_text(QUESTION)
    shutil.rmtree(cache_dir)
    assert not (await model.get_text(QUESTION)).cached
    assert (await model.get_text(QUESTION)).cached
    assert provider.calls == 2
    assert warned() == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") is not None and is_root
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs", str(place)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_disk_full(make_model, small_disk, warned):
    """A full disk is reported once and harms no entry. When there is room again, responses are stored again."""
    model = make_model(cache_dir=small_disk / "cache")
    await model.get_text(OTHER)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 1024):
            pass
    for _ in range(3):
        assert not (await model.get_text(QUESTION)).cached
    (warning,) = warned()
    assert "ENOSPC" in warning
    assert (await model.get_text(OTHER)).cached
    assert list(small_disk.rglob("temporary/*")) == []
    filler.unlink()
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION)).cached


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    elsewhere = Path("elsewhere.json")
    path.rename(elsewhere)
    path.symlink_to(elsewhere.absolute())


def listener(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        # The path of a socket must be short.
        server.bind("s")
    Path("s").rename(path)


def swapped(path: Path) -> None:
    (other,) = (found for found in path.parent.iterdir() if found != path)
    path.write_bytes(other.read_bytes())


def edited(**changes):
    changes = {"checksum": None, **changes}
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


BROKEN = {
    "empty": (lambda path: path.write_bytes(b""), "corrupt"),
    "NUL bytes": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "corrupt"),
    "truncated": (cut, "corrupt"),
    "truncated in its key": (lambda path: path.write_bytes(path.read_bytes()[:40]), "corrupt"),
    "not UTF-8": (lambda path: path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 40), "corrupt"),
    "content is a number": (edited(content=5), "corrupt"),
    "usage is a list": (edited(usage=[1]), "corrupt"),
    "usage has other names": (edited(usage={"tokens": 1}), "corrupt"),
    "tool calls are a text": (edited(tool_calls="none"), "corrupt"),
    "no date": (edited(timestamp=None), "corrupt"),
    "another key": (edited(key="0" * 64), "wrong_key"),
    "swapped": (swapped, "wrong_key"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_entry(make_model, provider, cache_dir, warned, name):
    """A broken entry is a miss with one warning. It is replaced, and other entries are still hits."""
    breaking, reason = BROKEN[name]
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    await model.get_text(OTHER)
    breaking(path)
    assert not (await model.get_text(QUESTION)).cached
    (warning,) = warned()
    assert warning.startswith("cache.corrupt ")
    assert f"reason={reason}" in warning
    assert (await model.get_text(QUESTION)).cached
    assert (await model.get_text(OTHER)).cached
    assert provider.calls == 3
    assert model.cache.get_stats()["misses_by_reason"] == {"absent": 2, reason: 1}
    assert len(warned()) == 1


async def test_entries_from_the_future(make_model, provider, cache_dir, warned):
    """Entries dated in the future are misses with one warning in all, and are replaced."""
    model = make_model()
    questions = [ask(text) for text in ("one", "two", "three")]
    for question in questions:
        await model.get_text(question)
    for path in entry_files(cache_dir):
        edited(timestamp=9e9)(path)
    assert [(await model.get_text(question)).cached for question in questions] == [False] * 3
    (warning,) = warned()
    assert warning.startswith('cache.error operation="use some entries"')
    assert [(await model.get_text(question)).cached for question in questions] == [True] * 3
    assert provider.calls == 6
    assert model.cache.get_stats()["misses_by_reason"] == {"absent": 3, "future": 3}


FOREIGN = {
    "not JSON": (lambda path: path.write_bytes(b"\xff\xfe<html>"), "corrupt"),
    "a list": (lambda path: path.write_text("[]"), "corrupt"),
    "another object": (lambda path: path.write_text('{"content": "x"}'), "corrupt"),
    "FIFO": (fifo, "not_a_file"),
    "link": (link, "not_a_file"),
    "socket": (listener, "not_a_file"),
}


def look(path: Path) -> tuple[int, int, bytes]:
    status = path.lstat()
    return status.st_mode, status.st_ino, path.read_bytes() if path.is_file() else b""


@pytest.mark.parametrize("name", FOREIGN)
async def test_foreign_file_in_place_of_an_entry(make_model, provider, cache_dir, name):
    """A file that was never an entry is a miss and is left alone, and other entries are still hits."""
    placing, reason = FOREIGN[name]
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    await model.get_text(OTHER)
    placing(path)
    before = look(path)
    assert not (await model.get_text(QUESTION)).cached
    assert not (await model.get_text(QUESTION)).cached
    assert look(path) == before
    assert (await model.get_text(OTHER)).cached
    assert provider.calls == 4
    assert model.cache.get_stats()["misses_by_reason"] == {"absent": 2, reason: 2}


@pytest.mark.parametrize("name", ["a list", "link"])
async def test_foreign_file_is_reported_once(make_model, cache_dir, warned, name):
    """A file that is not an entry gives one warning in all, even while other responses are stored."""
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    FOREIGN[name][0](path)
    for number in range(3):
        await model.get_text(QUESTION)
        await model.get_text(ask(str(number)))
    assert len(warned()) == 1


async def test_link_is_not_followed(make_model, cache_dir):
    """The target of a link in place of an entry is neither read nor written."""
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    link(path)
    target = path.resolve()
    before = target.read_bytes(), target.stat().st_atime_ns, target.stat().st_mtime_ns
    assert not (await model.get_text(QUESTION)).cached
    assert (target.read_bytes(), target.stat().st_atime_ns, target.stat().st_mtime_ns) == before


async def test_broken_entry_is_reported_once_in_a_read_only_mode(make_model, cache_dir, warned):
    """A broken entry that a read-only mode cannot replace is reported once."""
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    cut(path)
    before = path.read_bytes()
    for _ in range(3):
        assert not (await model.get_text(QUESTION, cache="read-only")).cached
    assert len(warned()) == 1
    assert path.read_bytes() == before


async def test_entry_that_breaks_again(make_model, cache_dir, warned):
    """An entry that was repaired in between is reported again."""
    model = make_model()
    await model.get_text(QUESTION)
    for _ in range(2):
        cut(entry_files(cache_dir)[0])
        await model.get_text(QUESTION)
        assert (await model.get_text(QUESTION)).cached
    assert len(warned()) == 2


async def test_response_larger_than_the_cache(make_model, monkeypatch, cache_dir, warned):
    """A response larger than the maximum size of the cache is returned, not stored, and reported once."""
    monkeypatch.setenv("SPARK_CACHE_MAX_SIZE", "0.01")
    monkeypatch.setenv("SPARK_CACHE_STORE_REQUESTS", "true")
    model = make_model()
    for text in ("small", "x" * 20_000, "small too", "y" * 20_000):
        await model.get_text(ask(text))
    (warning,) = warned()
    assert "larger than the cache may be" in warning
    assert all(path.stat().st_size < 10_000 for path in entry_files(cache_dir))


async def test_no_more_threads(make_model, monkeypatch):
    """If no more threads can be started, totals are lost, but no response."""

    class NoTimer:
        def __init__(self, *_: object) -> None:
            self.daemon = False

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

        def cancel(self) -> None:
            raise AssertionError("it was never started")

    monkeypatch.setattr("spark_cache.savings.writer.Timer", NoTimer)
    model = make_model()
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION)).cached


async def test_impossible_usage(make_model, cache_dir):
    """Impossible usage numbers are returned unchanged and not added to the totals."""
    model = make_model()
    await model.get_text(QUESTION)
    (path,) = entry_files(cache_dir)
    edited(usage={"total_tokens": 2**63}, latency_seconds=-1e300)(path)
    hit = await model.get_text(QUESTION)
    assert (hit.cached, hit.usage.total_tokens) == (True, 2**63)
    totals = model.cache.get_stats()["lifetime"]
    assert (totals["hits"], totals["tokens_saved"], totals["seconds_saved"]) == (1, 0, 0.0)
