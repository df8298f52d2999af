from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_cache import CacheManager, load_config
from spark_cache.cli import main


@pytest.fixture
def command():
    """Run the command line in this process. Exceptions that it does not handle propagate."""

    def run(*arguments, **environment):
        return CliRunner().invoke(
            main, arguments, env=environment, prog_name="spark-cache", catch_exceptions=False
        )

    return run


@pytest.fixture
def development(monkeypatch):
    """Select the development profile and return its cache directory, in the working directory."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    return Path.cwd() / "dev_cache"


@pytest.fixture
def store(development):
    """Store a response under that profile as of ``age`` seconds ago, and return the path of the entry."""

    def stored(
        content="Paris.", *, provider="openai", model="gpt-4o", age=0.0, key=None, response=None, **settings
    ):
        manager = CacheManager(load_config(**settings), clock=lambda: time.time() - age)
        request = {"messages": [{"role": "user", "content": f"The question that {content} answers"}]}
        if key is None:
            key = manager.generate_cache_key(provider, model, request["messages"])
        usage = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}
        answer = {"content": content, "stop_reason": "end_turn", "usage": usage, "latency_seconds": 0.5}
        before = set(development.glob("*/*/*.json"))
        assert manager.set(key, provider, model, request, answer | (response or {}))
        (path,) = set(development.glob("*/*/*.json")) - before
        return path

    return stored


@pytest.fixture
def listing():
    """List everything below a folder, with the times, sizes and inodes that a write would change."""

    def listed(folder):
        return {
            str(path.relative_to(folder)): (
                path.lstat().st_mtime_ns,
                path.lstat().st_size,
                path.lstat().st_ino,
            )
            for path in sorted(folder.rglob("*"))
        }

    return listed
