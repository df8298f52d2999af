from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_cache import CacheManager, load_config
from spark_cache.cli import main


@pytest.fixture
def command():
    """Run the command line in this process; an exception that it does not answer for comes through."""

    def run(*arguments, **environment):
        return CliRunner().invoke(
            main, arguments, env=environment, prog_name="spark-cache", catch_exceptions=False
        )

    return run


@pytest.fixture
def development(monkeypatch):
    """A program that runs under the development profile in the working directory; its cache directory."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    return Path.cwd() / "dev_cache"


@pytest.fixture
def store(development):
    """Store an answer as that program would have, ``age`` seconds ago; return the path of its file."""

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
    """Everything below a folder, with what would tell that it was written to."""

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
