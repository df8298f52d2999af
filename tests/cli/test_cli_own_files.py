"""A cache directory that contains a project: no command and no method changes a file that is not an entry."""

from __future__ import annotations

import json
import os
import time

import pytest
from cryptography.fernet import Fernet

from spark_cache import CacheManager, OpenAIModel, load_config
from spark_cache.testing import StandInProvider

_HEX = "ab" * 32

_FILES = {
    "reports/daily/20240131.json": b'{"visitors": 12}',
    "reports/daily/20240201.json": b"[1, 2, 3]" + b" " * 5000,
    "reports/daily/deadbeef.json": b"{}",
    "reports/daily/0.json": b"null",
    f"reports/daily/{_HEX}.json": b'{"sha256": "of a blob"}',
    "reports/daily/00000001.json": b'{"schema": 1, "fields": ["a", "b"]}',
    "reports/daily/00000002.json": b'{"schema": "https://json-schema.org", "key": "00000002"}',
    "reports/daily/00000003.json": b'{"key": "00000003", "value": 3}',
    "reports/daily/00000004.json": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "reports/daily/00000005.json": b'{"schema": 2, "name": "caf\xe9"}',
    "reports/daily/00000006.json": b'{"unfinished": ',
    "reports/daily/00000007.json": b'{"content": "a message", "timestamp": 1, "ttl": 1, "provider": "me"}',
    "reports/daily/00000008.json": b"x" * 300_000,
    "reports/daily/notes.txt": b"not JSON",
    "reports/daily/.hidden.json": b"{}",
    "src/pkg/main.py": b"print('hello')\n",
    "src/pkg/data/cafe.json": b'{"deeper": true}',
    "openai/gpt-4o/cafebabe.json": b'{"in the folder": "of a model"}',
    "openai/gpt-4o/README.md": b"# Notes\n",
    "package.json": b'{"name": "project"}',
    ".gitignore": b"*.pyc\n",
}
"""The files of a project, most of them in the places where the cache stores entries."""

_ANSWER = {"content": "a" * 500, "stop_reason": "end_turn", "usage": None}

_COMMANDS = [
    ("stats",),
    ("ls",),
    ("verify",),
    ("verify", "--repair"),
    ("doctor",),
    ("cleanup",),
    ("clear", "--provider", "reports"),
    ("clear", "--provider", "reports", "--model", "daily"),
    ("rm", "20240131"),
    ("rm", "cafebabe"),
    ("rm", _HEX),
    ("show", "20240131"),
    ("keys", "list"),
    ("encrypt",),
    ("keys", "rotate"),
    ("decrypt",),
    ("export", "../archive.tar"),
    ("diff", ".", "../other"),
    ("clear", "--all"),
    ("import", "../archive.tar"),
    ("clear", "--all"),
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Create the project, a month old, and make it the cache directory."""
    root = tmp_path / "project"
    for name, data in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "reports/daily/00000009.json").symlink_to(root / "package.json")
    (root / "reports/daily/0000000a.json").mkdir()
    os.mkfifo(root / "reports/daily/0000000b.json")
    month_ago = time.time() - 30 * 86400
    for path in root.rglob("*.json"):
        os.utime(path, (month_ago, month_ago), follow_symlinks=False)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "1")
    monkeypatch.setenv("SPARK_CACHE_DIR", ".")
    monkeypatch.setenv("SPARK_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    return root


def _state(root):
    """Return every file of the project, with its content, its mode and its modification time."""
    found = {}
    for name in [*_FILES, *(f"reports/daily/{name}.json" for name in ("00000009", "0000000a", "0000000b"))]:
        status = os.lstat(root / name)
        content = (root / name).read_bytes() if name in _FILES else None
        found[name] = status.st_mode, content, status.st_mtime_ns if name in _FILES else 0
    return found


def _fill(manager, count, prefix):
    keys = [manager.generate_cache_key("openai", "gpt-4o", f"{prefix} {number}") for number in range(count)]
    assert all(manager.set(key, "openai", "gpt-4o", None, _ANSWER) for key in keys)
    return keys


def test_no_command_changes_a_file_of_the_project(command, project):
    """Every command leaves every file of the project as it is."""
    before = _state(project)
    _fill(CacheManager(load_config()), 5, "first")
    for arguments in _COMMANDS:
        command(*arguments)
        assert _state(project) == before, arguments
        _fill(CacheManager(load_config()), 2, "again")


def test_no_method_changes_a_file_of_the_project(project):
    """Eviction, expiry, a rebuilt index and every method of the manager leave the files of the project as they are."""
    before = _state(project)
    manager = CacheManager(load_config(max_cache_size_mb=0.2, ttl_seconds=3600, cleanup_interval_seconds=1))
    keys = _fill(manager, 120, "evicted")
    assert manager.get_stats()["total_entries"] <= 0.2 * 2**20 / 4096
    assert _state(project) == before

    (project / ".spark-cache" / "index.sqlite3").unlink()
    _fill(manager, 120, "after the loss of the index")
    assert manager.remove_entry(keys[0]) is False
    assert manager.remove_entry("20240131") is False
    assert manager.has_entry("cafebabe") is False
    assert manager.get("00000007") is None
    assert set(manager.get_stats()["by_model"]) == {"openai"}
    late = CacheManager(load_config(ttl_seconds=1), clock=lambda: time.time() + 10**6)
    assert late.cleanup_expired() > 0
    manager.clear_provider("reports")
    manager.clear_model("reports", "daily")
    manager.clear_all()
    assert manager.get_stats()["total_entries"] == 0
    assert _state(project) == before


async def test_a_call_whose_place_is_taken_is_answered_without_the_cache(project, caplog):
    """A file in the place of an entry stays, and the calls are answered, with one warning."""
    question = [{"role": "user", "content": "What is Python?"}]
    with StandInProvider() as provider:
        service = {"base_url": provider.base_url, "api_key": "any", "max_retries": 0}
        async with OpenAIModel("gpt-4o", client_args=service) as model:
            key = model.cache_key(question)
            path = project / "openai" / "gpt-4o" / f"{key}.json"
            path.write_text(json.dumps({"mine": True}))
            answers = [await model.get_text(question) for _ in range(3)]
    assert provider.calls == 3
    assert [answer.cached for answer in answers] == [False] * 3
    assert json.loads(path.read_text()) == {"mine": True}
    warnings = [record for record in caplog.records if 'operation="use an entry"' in record.getMessage()]
    assert len(warnings) == 1
    assert "not an entry of this cache" in warnings[0].getMessage()
