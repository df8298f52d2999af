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
    """The first column of a table, without its heading."""
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


# -- stats ----------------------------------------------------------------------------------------


def test_stats_count_by_provider_and_model(command, store, development):
    """Entries and what they occupy are counted for every provider and each of its models."""
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


def test_stats_tell_what_other_processes_saved(command, development):
    """Hits, misses, tokens and seconds saved are those of every program that used the cache."""
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


def test_stats_read_as_a_table(command, store, development):
    """A person sees the directory, the profile, a row for each model and the total."""
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
        ["since the cache was", "made"],
        ["hits", "0"],
        ["misses", "0"],
        ["hit rate", "-"],
        ["tokens saved", "0"],
        ["waiting saved", "-"],
    ]


def test_stats_of_nothing_make_nothing(command, development):
    """Looking at a cache that does not exist yet is fine, and does not make it."""
    result = command("stats", "--json")

    assert (result.exit_code, json.loads(result.stdout)["total_entries"]) == (0, 0)
    assert not development.exists()


def test_stats_say_when_the_cache_is_off(command):
    """Without a profile nothing is cached, and the command says so."""
    assert "profile none, caching is off" in command("stats").stdout


def test_a_directory_can_be_named(command, store, development):
    """``--dir`` looks into any cache directory, whatever the configured one."""
    store()
    development.rename("elsewhere")

    stats = json.loads(command("stats", "--dir", "elsewhere", "--json", SPARK_CACHE_STORE="memory").stdout)

    assert (stats["total_entries"], stats["cache_dir"]) == (1, str(Path.cwd() / "elsewhere"))


def test_a_profile_can_be_named(command, store):
    """``--profile`` looks into the cache of another profile than the environment names."""
    store()

    result = command("stats", "--profile", "development", "--json", ENVIRONMENT="testing")

    assert json.loads(result.stdout)["total_entries"] == 1


@pytest.mark.parametrize("arguments", [["stats"], ["ls"], ["show", "0"], ["rm", "0"], ["cleanup"]])
def test_a_directory_that_is_not_there_is_misuse(command, arguments):
    """A misspelt ``--dir`` is not taken for an empty cache."""
    result = command(*arguments, "--dir", "nowhere")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Directory 'nowhere' does not exist" in result.stderr


def test_a_cache_in_memory_is_out_of_reach(command, development):
    """The entries of a memory store are inside another program, and the error says what can be done."""
    result = command("stats", SPARK_CACHE_STORE="memory")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        'Error: store = "memory" keeps entries inside the program that uses them, out of reach from here: '
        "name a cache directory with --dir\n"
    )


def test_a_wrong_configuration_is_one_message(command):
    """What is wrong with the configuration is said once, on standard error, with exit code 2."""
    result = command("stats", "--profile", "developmnt")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: command line: --profile: ")
    assert "did you mean development?" in result.stderr


def test_a_directory_that_cannot_be_listed_is_one_message(command, store, monkeypatch):
    """A fault of the machine is said once, without a traceback."""
    store()

    def refuse(*_arguments, **_keywords):
        raise StoreError("list", "EACCES (Permission denied)")

    monkeypatch.setattr(FileStore, "scan", refuse)

    result = command("stats")

    assert (result.exit_code, result.stderr) == (2, "Error: cannot list: EACCES (Permission denied)\n")


# -- ls -------------------------------------------------------------------------------------------


def test_ls_begins_with_the_newest(command, store):
    """The newest entry comes first."""
    ages = {50: store("a", age=50), 5: store("b", age=5), 500: store("c", age=500)}

    assert names(command("ls")) == [ages[age].stem[:12] for age in (5, 50, 500)]


def test_ls_shows_age_time_left_and_size(command, store):
    """A row tells the entry's name, provider, model, age, the time it may still be served, and its size."""
    path = store(age=3600)

    heading, row = command("ls").stdout.splitlines()

    assert heading.split() == ["entry", "provider", "model", "age", "time", "left", "size"]
    size = f"{path.stat().st_size} B".split()
    assert row.split() == [path.stem[:12], "openai", "gpt-4o", "1h", "23h", *size]


def test_ls_as_json_has_everything(command, store):
    """Programs get the whole name, times in seconds and whether an entry is over."""
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
        ({"SPARK_CACHE_MODE": "replay"}, 86400 * 2, "for ever"),
    ],
    ids=["shorter here", "shorter there", "over here", "over there", "replay"],
)
def test_the_time_left_is_what_this_configuration_grants(command, store, settings, age, left):
    """The shorter of the entry's own lifetime and the reader's decides; replay knows no age."""
    store(age=age + 0.001)
    floor = {"9m": "8m 59s", "23h": "22h 59m"}.get(left, left)

    row = command("ls", **settings).stdout.splitlines()[1]

    assert left in row or floor in row


def test_an_entry_without_end_is_kept_for_ever(command, store):
    """An entry without a lifetime, read by a configuration without one, has no time left to tell."""
    store(ttl_seconds="never")

    assert "for ever" in command("ls", SPARK_CACHE_TTL="never").stdout


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--provider", "openai"], {"a", "b"}),
        (["--model", "shared"], {"b", "c"}),
        (["--provider", "openai", "--model", "shared"], {"b"}),
        (["--provider", "gemini"], set()),
    ],
)
def test_ls_can_be_narrowed(command, store, arguments, found):
    """Provider and model narrow the list, alone and together."""
    paths = {
        "a": store("a", model="gpt-4o"),
        "b": store("b", model="shared"),
        "c": store("c", provider="anthropic", model="shared"),
    }

    listed = json.loads(command("ls", *arguments, "--json").stdout)

    assert {entry["name"] for entry in listed} == {paths[name].stem for name in found}


def test_ls_can_be_cut_short(command, store):
    """``--limit`` keeps the newest, and standard error says that there are more."""
    newest = store("a", age=1)
    store("b", age=2)
    store("c", age=3)

    result = command("ls", "--limit", "1")

    assert names(result) == [newest.stem[:12]]
    assert result.stderr == "the newest 1 of 3 entries\n"


def test_ls_of_nothing_says_so(command, development):
    """An empty cache is no problem."""
    result = command("ls")

    assert (result.exit_code, result.stdout) == (0, f"no entries in {development}\n")


def test_ls_tells_of_files_that_are_no_entries(command, store):
    """A file that cannot be read as an entry is not passed over in silence."""
    path = store("a")
    path.with_name("0" * 64 + ".json").write_text("{")

    result = command("ls", "--provider", "openai")

    assert names(result) == [path.stem[:12]]
    assert result.stderr == "not listed: 1 file that cannot be read as an entry\n"


def test_ls_marks_what_is_encrypted(command, store, development, monkeypatch):
    """An encrypted entry is listed without its key, and marked."""
    store("a", encryption="all", encryption_keys=Fernet.generate_key().decode())

    assert command("ls").stdout.splitlines()[1].endswith("  encrypted")


def test_a_name_does_not_steer_the_terminal(command, store):
    """Control characters in a model's name are shown, not obeyed."""
    store(model="gpt\x1b[2J")

    assert "gpt\\x1b[2J" in command("ls").stdout
    assert "gpt\\x1b[2J" in command("stats").stdout


def test_a_long_table_is_not_cut_in_a_pipe(command, store):
    """Without a terminal each entry is one line, however long, without colour."""
    store(model="a-model-with-a-name-that-" + "goes-on-and-" * 10)

    output = command("ls", COLUMNS="40").stdout

    assert len(output.splitlines()) == 2
    assert "goes-on-and-" * 10 in output
    assert "\x1b" not in output


def test_looking_writes_nothing(command, store, development, listing):
    """Neither a count nor a list nor a look into an entry changes a file, not even its times."""
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
    """Faults are logged on standard error in the configured form."""
    store()

    def fail(*_arguments, **_keywords):
        raise StoreError("read", "EIO (Input/output error)")

    monkeypatch.setattr(FileStore, "read", fail)

    line = command("ls", **environment).stderr.splitlines()[0]

    if is_json:
        assert json.loads(line)["event"] == "cache.error"
    else:
        assert "cache.error" in line
        assert line[:4].isdigit(), "the console form begins with the time"


def test_what_is_below_the_configured_level_is_not_logged(command, store, monkeypatch):
    """``SPARK_CACHE_LOG_LEVEL`` holds for the command line too."""
    store()
    monkeypatch.setattr(FileStore, "read", lambda *_, **__: (_ for _ in ()).throw(StoreError("read", "EIO")))

    assert "cache.error" not in command("ls", SPARK_CACHE_LOG_LEVEL="ERROR").stderr
