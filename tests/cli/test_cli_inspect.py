"""``spark-cache stats`` and ``ls``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from spark_cache import CacheManager, load_config
from spark_cache.errors import StoreError
from spark_cache.stores import FileStore


def names(result):
    """Return the first column of a table without its heading."""
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


# -- stats ----------------------------------------------------------------------------------------


def test_stats_count_by_provider_and_model(command, store, development):
    """Entries and their size are counted for each provider and model."""
    for content in "ab":
        store(content)
    store("c", model="GPT-5")
    store("d", provider="anthropic", model="claude")

    stats = json.loads(command("stats", "--json").stdout)

    assert stats["total_entries"] == 4
    assert stats["by_provider"]["openai"] == {"entries": 3, "size_bytes": 3 * 4096}
    assert stats["by_model"]["openai"] == {
        "gpt-4o": {"entries": 2, "size_bytes": 2 * 4096},
        "GPT-5": {"entries": 1, "size_bytes": 4096},
    }
    assert stats["apparent_size_bytes"] == sum(path.stat().st_size for path in development.glob("*/*/*.json"))
    assert (stats["cache_dir"], stats["profile"], stats["enabled"]) == (str(development), "development", True)


def test_stats_include_other_processes(command, development):
    """Hits, misses, tokens and seconds include every program that used the cache."""
    program = """
from spark_cache import CacheManager
manager = CacheManager()
key = manager.generate_cache_key("openai", "gpt-4o", "Hello")
manager.get(key)
usage = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}
manager.set(key, "openai", "gpt-4o", None, {"content": "", "stop_reason": None, "usage": usage, "latency_seconds": 0.5})
for _ in range(3):
    manager.get(key)
"""
    subprocess.run([sys.executable, "-c", program], check=True)

    lifetime = json.loads(command("stats", "--json").stdout)["lifetime"]

    assert (lifetime["hits"], lifetime["misses"], lifetime["hit_rate"]) == (3, 1, 0.75)
    assert (lifetime["tokens_saved"], lifetime["seconds_saved"]) == (69, 1.5)


def test_stats_print_a_table(command, store, development):
    """The text output shows the directory, the profile, a row for each model and the total."""
    store("a")
    store("b", provider="anthropic", model="claude")

    lines = command("stats").stdout.splitlines()

    assert lines[:3] == [str(development), "profile development, caching is on", ""]
    assert [line.split() for line in lines[3:7]] == [
        ["provider", "model", "entries", "on", "disk"],
        ["anthropic", "claude", "1", "4.0", "KB"],
        ["openai", "gpt-4o", "1", "4.0", "KB"],
        ["total", "2", "8.0", "KB"],
    ]
    assert [line.rsplit(None, 1) for line in lines[8:]] == [
        ["since the cache was", "created"],
        ["hits", "0"],
        ["misses", "0"],
        ["hit rate", "-"],
        ["tokens saved", "0"],
        ["time saved", "-"],
    ]


def test_stats_do_not_create_a_cache(command, development):
    """Stats of a cache that does not exist succeed and do not create it."""
    result = command("stats", "--json")

    assert (result.exit_code, json.loads(result.stdout)["total_entries"]) == (0, 0)
    assert not development.exists()


def test_stats_show_when_the_cache_is_off(command):
    """Without a profile caching is off, and the output says so."""
    assert "profile none, caching is off" in command("stats").stdout


def test_dir_selects_a_directory(command, store, development):
    """``--dir`` selects any cache directory, regardless of the configuration."""
    store()
    development.rename("elsewhere")

    stats = json.loads(command("stats", "--dir", "elsewhere", "--json", SPARK_CACHE_STORE="memory").stdout)

    assert (stats["total_entries"], stats["cache_dir"]) == (1, str(Path.cwd() / "elsewhere"))


def test_profile_selects_a_profile(command, store):
    """``--profile`` selects another profile than the environment."""
    store()

    result = command("stats", "--profile", "development", "--json", ENVIRONMENT="testing")

    assert json.loads(result.stdout)["total_entries"] == 1


@pytest.mark.parametrize("arguments", [["stats"], ["ls"], ["show", "0"], ["rm", "0"], ["cleanup"]])
def test_a_missing_directory_is_misuse(command, arguments):
    """A misspelled ``--dir`` is an error, not an empty cache."""
    result = command(*arguments, "--dir", "nowhere")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Directory 'nowhere' does not exist" in result.stderr


def test_a_cache_in_memory_is_out_of_reach(command, development):
    """A memory store belongs to another process, and the error suggests ``--dir``."""
    result = command("stats", SPARK_CACHE_STORE="memory")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        'Error: store = "memory" keeps entries inside the process that uses them, where this command cannot read them: '
        "name a cache directory with --dir\n"
    )


def test_a_wrong_configuration_is_one_message(command):
    """A configuration error is one message on standard error with exit code 2."""
    result = command("stats", "--profile", "developmnt")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: command line: --profile: ")
    assert "did you mean development?" in result.stderr


def test_a_directory_that_cannot_be_listed_is_one_message(command, store, monkeypatch):
    """An I/O error is one message without a traceback."""
    store()

    def refuse(*_arguments, **_keywords):
        raise StoreError("list", "EACCES (Permission denied)")

    monkeypatch.setattr(FileStore, "scan", refuse)

    result = command("stats")

    assert (result.exit_code, result.stderr) == (2, "Error: cannot list: EACCES (Permission denied)\n")


# -- ls -------------------------------------------------------------------------------------------


def test_ls_starts_with_the_newest(command, store):
    """The newest entry comes first."""
    ages = {50: store("a", age=50), 5: store("b", age=5), 500: store("c", age=500)}

    assert names(command("ls")) == [ages[age].stem[:12] for age in (5, 50, 500)]


def test_ls_shows_age_time_left_and_size(command, store):
    """A row shows the name, provider, model, age, time left and size of an entry."""
    path = store(age=3600)

    heading, row = command("ls").stdout.splitlines()

    assert heading.split() == ["entry", "provider", "model", "age", "time", "left", "size"]
    size = f"{path.stat().st_size} B".split()
    assert row.split() == [path.stem[:12], "openai", "gpt-4o", "1h", "23h", *size]


def test_ls_as_json_has_everything(command, store):
    """JSON output has the full name, times in seconds and whether an entry is expired."""
    path = store(age=3600)

    (entry,) = json.loads(command("ls", "--json").stdout)

    assert entry["name"] == path.stem
    assert entry["age_seconds"] == pytest.approx(3600, abs=60)
    assert entry["seconds_left"] == pytest.approx(86400 - 3600, abs=60)
    assert {
        name: entry[name] for name in ("provider", "model_id", "ttl", "expired", "encrypted", "size_bytes")
    } == {
        "provider": "openai",
        "model_id": "gpt-4o",
        "ttl": 86400,
        "expired": False,
        "encrypted": False,
        "size_bytes": path.stat().st_size,
    }


@pytest.mark.parametrize(
    ("settings", "age", "left"),
    [
        ({"SPARK_CACHE_TTL": "10m"}, 60, "9m"),
        ({"SPARK_CACHE_TTL": "30d"}, 3600, "23h"),
        ({"SPARK_CACHE_TTL": "1m"}, 60, "expired"),
        ({"SPARK_CACHE_TTL": "never"}, 86400 * 2, "expired"),
        ({"SPARK_CACHE_MODE": "replay"}, 86400 * 2, "no limit"),
    ],
    ids=["reader shorter", "entry shorter", "reader expired", "entry expired", "replay"],
)
def test_the_time_left_depends_on_the_configuration(command, store, settings, age, left):
    """The shorter of the TTL of the entry and the TTL of the reader applies. Replay mode ignores both."""
    store(age=age + 0.001)
    floor = {"9m": "8m 59s", "23h": "22h 59m"}.get(left, left)

    row = command("ls", **settings).stdout.splitlines()[1]

    assert left in row or floor in row


def test_without_any_ttl_there_is_no_limit(command, store):
    """An entry without a TTL never expires for a configuration without a TTL."""
    store(ttl_seconds="never")

    assert "no limit" in command("ls", SPARK_CACHE_TTL="never").stdout


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--provider", "openai"], {"a", "b"}),
        (["--model", "shared"], {"b", "c"}),
        (["--provider", "openai", "--model", "shared"], {"b"}),
        (["--provider", "gemini"], set()),
    ],
)
def test_ls_can_be_filtered(command, store, arguments, found):
    """Provider and model filter the list, alone and together."""
    paths = {
        "a": store("a", model="gpt-4o"),
        "b": store("b", model="shared"),
        "c": store("c", provider="anthropic", model="shared"),
    }

    listed = json.loads(command("ls", *arguments, "--json").stdout)

    assert {entry["name"] for entry in listed} == {paths[name].stem for name in found}


def test_ls_can_be_limited(command, store):
    """``--limit`` keeps the newest entries, and standard error says that there are more."""
    newest = store("a", age=1)
    store("b", age=2)
    store("c", age=3)

    result = command("ls", "--limit", "1")

    assert names(result) == [newest.stem[:12]]
    assert result.stderr == "showing the newest 1 of 3 entries\n"


def test_ls_of_an_empty_cache(command, development):
    """An empty cache gives a message and exit code 0."""
    result = command("ls")

    assert (result.exit_code, result.stdout) == (0, f"no entries in {development}\n")


def test_ls_reports_unreadable_files(command, store):
    """An entry that cannot be read is reported on standard error."""
    path, damaged = store("a"), store("b")
    damaged.write_bytes(damaged.read_bytes()[:-40])

    result = command("ls", "--provider", "openai")

    assert names(result) == [path.stem[:12]]
    assert result.stderr == "not listed: 1 file that cannot be read as an entry\n"


def test_ls_ignores_foreign_files(command, store):
    """A file that was never an entry is neither listed nor reported."""
    path = store("a")
    path.with_name("0" * 64 + ".json").write_text("{}")

    result = command("ls")

    assert (names(result), result.stderr) == ([path.stem[:12]], "")


def test_ls_marks_encrypted_entries(command, store, development, monkeypatch):
    """An encrypted entry is listed and marked, even without its encryption key."""
    store("a", encryption="all", encryption_keys=Fernet.generate_key().decode())

    assert command("ls").stdout.splitlines()[1].endswith("  encrypted")


def test_a_name_cannot_control_the_terminal(command, store):
    """Control characters in a model name are escaped."""
    store(model="gpt\x1b[2J")

    assert "gpt\\x1b[2J" in command("ls").stdout
    assert "gpt\\x1b[2J" in command("stats").stdout


def test_a_long_table_is_not_cut_in_a_pipe(command, store):
    """Without a terminal each entry is one line of any length, without colour."""
    store(model="a-model-with-a-name-that-" + "goes-on-and-" * 10)

    output = command("ls", COLUMNS="40").stdout

    assert len(output.splitlines()) == 2
    assert "goes-on-and-" * 10 in output
    assert "\x1b" not in output


def test_inspecting_writes_nothing(command, store, development, listing):
    """``stats``, ``ls`` and ``show`` change no file, and no file time."""
    path = store(age=3600)
    CacheManager(load_config()).get_stats()
    before = listing(development)

    for arguments in (["stats"], ["ls"], ["show", path.stem]):
        assert command(*arguments).exit_code == 0

    assert listing(development) == before


@pytest.mark.parametrize(
    ("environment", "is_json"),
    [({"SPARK_CACHE_LOG_FORMAT": "json"}, True), ({"SPARK_CACHE_LOG_LEVEL": "INFO"}, False)],
)
def test_the_configured_log_output_is_used(command, store, monkeypatch, environment, is_json):
    """Faults are logged to standard error in the configured format."""
    store()

    def fail(*_arguments, **_keywords):
        raise StoreError("read", "EIO (Input/output error)")

    monkeypatch.setattr(FileStore, "read", fail)

    line = command("ls", **environment).stderr.splitlines()[0]

    if is_json:
        assert json.loads(line)["event"] == "cache.error"
    else:
        assert "cache.error" in line
        assert line[:4].isdigit(), "the console format starts with the time"


def test_the_configured_log_level_is_used(command, store, monkeypatch):
    """``SPARK_CACHE_LOG_LEVEL`` also applies to the command line."""
    store()
    monkeypatch.setattr(FileStore, "read", lambda *_, **__: (_ for _ in ()).throw(StoreError("read", "EIO")))

    assert "cache.error" not in command("ls", SPARK_CACHE_LOG_LEVEL="ERROR").stderr
