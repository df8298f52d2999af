"""Log settings of a deployment take effect by themselves, and never against the program's own logging."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from spark_cache import ConfigError, configure_logging

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import logging, sys
{before}
from spark_cache import CacheConfig, CacheManager, load_config

manager = CacheManager(load_config(enabled=True, cache_dir=sys.argv[1]))
{after}
key = manager.generate_cache_key("openai", "gpt-4o", [dict(role="user", content="hello")])
manager.get(key)
"""


def log_of(tmp_path: Path, before: str = "", after: str = "", **variables: str) -> str:
    """Return what a program that misses once writes to standard error."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, after=after), str(tmp_path / "cache")],
        env=inherited | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_without_settings_nothing_is_written(tmp_path: Path) -> None:
    """A miss is not a fault."""
    assert log_of(tmp_path) == ""


def test_the_format_takes_effect(tmp_path: Path) -> None:
    """Each event is a JSON object on one line."""
    (line,) = log_of(tmp_path, SPARK_CACHE_LOG_FORMAT="json").splitlines()
    event = json.loads(line)
    assert (event["event"], event["reason"], event["level"]) == ("cache.miss", "absent", "info")


def test_the_level_takes_effect(tmp_path: Path) -> None:
    """The lines are those of the console format."""
    assert "cache.miss" in log_of(tmp_path, SPARK_CACHE_LOG_LEVEL="INFO")
    assert log_of(tmp_path, SPARK_CACHE_LOG_LEVEL="warn") == ""


def test_settings_in_dotenv_take_effect(tmp_path: Path) -> None:
    """A deployment may set its variables there."""
    (tmp_path / ".env").write_text("SPARK_CACHE_LOG_FORMAT=json\n")
    assert json.loads(log_of(tmp_path))["event"] == "cache.miss"


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_logging_of_the_program_decides(tmp_path: Path, when: str) -> None:
    """Each event is written once, as the program formats it, whenever it configures logging."""
    setup = "logging.basicConfig(format='ours: %(message)s', level=logging.INFO)"
    lines = log_of(tmp_path, **{when: setup}, SPARK_CACHE_LOG_FORMAT="json").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["ours:"]


def test_a_handler_of_our_logger_counts(tmp_path: Path) -> None:
    """The program has configured logging for this library alone."""
    setup = "logging.getLogger('spark_cache').addHandler(logging.NullHandler())"
    assert log_of(tmp_path, before=setup, SPARK_CACHE_LOG_FORMAT="json") == ""


def test_configure_logging_uses_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments take precedence, and settings that cannot be used are an error."""
    monkeypatch.setenv("SPARK_CACHE_LOG_FORMAT", "json")
    monkeypatch.setenv("SPARK_CACHE_LOG_LEVEL", "ERROR")
    stream = StringIO()
    handler = configure_logging(stream=stream)
    try:
        logger = logging.getLogger("spark_cache")
        logger.warning("not written")
        logger.error("written")
        configure_logging("WARNING", "console", stream)
        logger.warning("as text")
    finally:
        for added in [*logger.handlers, handler]:
            logger.removeHandler(added)
        logger.setLevel(0)
        logger.propagate = True
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["event"] == "written"
    assert "as text" in second
    monkeypatch.setenv("SPARK_CACHE_LOG_LEVEL", "loud")
    with pytest.raises(ConfigError):
        configure_logging()
