"""Loading and reloading a configuration, and what that costs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

import spark_cache.config
from spark_cache.config import CacheConfig, compare, load_config, reload_config, warn
from spark_cache.errors import ConfigError

if TYPE_CHECKING:
    from config_world import World


def test_the_real_environment_and_directory_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments, everything comes from the process."""
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "testing")
    monkeypatch.setenv("SPARK_CACHE_TTL", "90s")
    config = load_config()
    assert (config.profile, config.ttl_seconds, config.cache_dir) == ("testing", 90, tmp_path / "test_cache")


def test_an_override_of_none_counts_as_not_given(world: World) -> None:
    """A model passes None for arguments that it was not given. ``never`` sets a TTL without end."""
    environ = world.environ | {"SPARK_CACHE_TTL": "90s"}
    assert load_config(environ=environ, cwd=world.project, ttl_seconds=None).ttl_seconds == 90
    assert load_config(environ=environ, cwd=world.project, ttl_seconds="never").ttl_seconds is None


def test_a_misspelt_variable_warns_once_with_the_nearest_name(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt variable has no effect, so the user must be told."""
    monkeypatch.setattr(warn, "_given", set())
    path = world.dotenv("# x\nSPARK_CACHE_DIRR=y\n")
    world.environ["SPARK_CACHE_TLL"] = "90s"
    with caplog.at_level(logging.WARNING, logger="spark_cache"):
        world.load()
        world.load()
    assert [record.message for record in caplog.records] == [
        "environment: SPARK_CACHE_TLL: unknown variable SPARK_CACHE_TLL is ignored; did you mean SPARK_CACHE_TTL?",
        f"{path}:2: SPARK_CACHE_DIRR: unknown variable SPARK_CACHE_DIRR is ignored; did you mean SPARK_CACHE_DIR?",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("SPARK_CACHE_ENABLED", "SPARK_ENABLE_CACHE"),
        ("SPARK_CACHE_ENABLE", "SPARK_ENABLE_CACHE"),
        ("SPARK_CACHE_TTL_SECONDS", "SPARK_CACHE_TTL"),
        ("SPARK_CACHE_DIRECTORY", "SPARK_CACHE_DIR"),
        ("SPARK_CACHE_MAXSIZE", "SPARK_CACHE_MAX_SIZE"),
        ("SPARK_CACHE_ENCRYPTION_KEYS", "SPARK_CACHE_ENCRYPTION_KEY"),
    ],
)
def test_the_suggested_name_is_the_intended_one(world: World, written: str, meant: str) -> None:
    """The suggestion is also right if the words are in another order."""
    world.environ[written] = "1"
    (warning,) = world.resolve().warnings
    assert warning.message == f"unknown variable {written} is ignored; did you mean {meant}?"


def test_keys_replace_a_key_file_of_a_lower_layer(world: World) -> None:
    """Keys and key file are one setting with two names. A note says which layer sets it."""
    path = world.dotenv("SPARK_CACHE_ENCRYPTION_KEY_FILE=/nowhere\n")
    world.environ["SPARK_CACHE_ENCRYPTION_KEY"] = Fernet.generate_key().decode()
    config = world.load()
    assert config.encryption_key_file is None
    origin = config.origins["encryption_key_file"]
    assert origin.note == "the encryption keys come from environment, which overrides all lower layers"
    assert [below.place for below in origin.shadows] == [f"{path}:1"]


def test_no_part_of_a_resolution_shows_a_secret(world: World) -> None:
    """Debuggers and logs of local variables print these values."""
    keys = [Fernet.generate_key().decode() for _ in range(3)]
    world.environ["SPARK_CACHE_ENCRYPTION_KEY"] = keys[0]
    world.dotenv(f"SPARK_CACHE_ENCRYPTION_KEY={keys[1]}\n")
    resolution = world.resolve(encryption_keys=keys[2])
    settings = [setting for source in resolution.sources for setting in source.settings.values()]
    forms = repr((resolution, world.context(), resolution.dotenv, settings, resolution.origins))
    assert sum(setting.origin.name is not None for setting in settings) == 4
    assert not [key for key in keys if key in forms]


def test_reload_reads_the_layers_again(world: World) -> None:
    """A reload uses the same arguments, the current files and the changes made in code since."""
    path = world.profile("mine", '[cache]\nttl = "1h"\nnamespace = "old"\n')
    config = load_config("mine", environ=world.environ, cwd=world.project, fsync=True).with_(ttl_seconds="5s")
    path.write_text('[cache]\nttl = "2h"\nnamespace = "new"\n')
    again = reload_config(config)
    assert (again.ttl_seconds, again.namespace, again.fsync) == (5, "new", True)
    assert [(found.field, found.before, found.after) for found in compare(config, again)] == [
        ("namespace", "old", "new")
    ]


def test_reload_of_a_configuration_made_in_code_returns_it() -> None:
    """It was not loaded, so there is nothing to read again."""
    config = CacheConfig(namespace="n")
    assert reload_config(config) is config


def test_a_changed_file_of_the_same_length_is_read_again(world: World) -> None:
    """Parsed files are cached by their text, never by size or time."""
    path = world.profile("mine", '[cache]\nttl = "1h"\n')
    assert world.load("mine").ttl_seconds == 3600
    path.write_text('[cache]\nttl = "2h"\n')
    assert world.load("mine").ttl_seconds == 7200


def test_a_deleted_working_directory_matters_only_to_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment may replace the folder a program was started in. The error names the cause and is a ``ConfigError``."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert not load_config().enabled
    assert load_config(enabled=True, cache_dir="/x").cache_dir == Path("/x")
    with pytest.raises(
        ConfigError, match="the working directory, which no longer exists: use an absolute path"
    ):
        load_config(enabled=True, cache_dir="answers")
    with pytest.raises(ConfigError, match="the working directory, which no longer exists"):
        load_config("development")


def test_loading_costs_at_most_two_milliseconds(world: World) -> None:
    """Warm, with three profile files and a ``.env`` file."""
    if sys.gettrace() is not None or "coverage" in sys.modules:
        pytest.skip("measured without a tracer")
    text = (
        '[cache]\nttl = "1h"\ncache_dir = "./c"\nmax_size = "1GB"\n\n[[rules]]\nmodel = "gpt-*"\nttl = "1m"\n'
    )
    for write in (world.ship, world.user, world.profile):
        write("mine", text)
    world.dotenv('A=1\nURL="x${A}"\nENVIRONMENT=mine\nSPARK_CACHE_NAMESPACE=n\n')
    best = float("inf")
    for _ in range(200):
        start = time.perf_counter()
        world.load()
        best = min(best, time.perf_counter() - start)
    assert best <= 0.002


def _modules_after(code: str) -> set[str]:
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Pydantic is imported with the first configuration."""
    heavy = {"pydantic", "pydantic_settings", "dotenv", "tomllib", "cryptography"}
    assert not heavy & _modules_after("import spark_cache.config")


def test_a_plain_configuration_imports_no_parser() -> None:
    """``CacheConfig()`` imports neither tomllib nor dotenv nor pydantic-settings."""
    heavy = {"pydantic_settings", "dotenv", "tomllib", "cryptography"}
    assert not heavy & _modules_after("from spark_cache.config import CacheConfig; CacheConfig()")


def test_every_public_name_resolves() -> None:
    """``__all__`` matches ``dir()``, and every name can be imported."""
    assert dir(spark_cache.config) == sorted(spark_cache.config.__all__)
    assert all(getattr(spark_cache.config, name) for name in spark_cache.config.__all__)
    with pytest.raises(AttributeError):
        _ = spark_cache.config.nothing


def test_nothing_loads_without_pydantic_settings() -> None:
    """The library merges the layers. A stub in its place yields no configuration."""
    stub = "class BaseSettings:\n    def __init__(self, **_): pass\nclass PydanticBaseSettingsSource:\n    pass\n"
    script = f"""
import sys, types
module = types.ModuleType("pydantic_settings")
exec({stub!r}, module.__dict__)
module.InitSettingsSource = object
sys.modules["pydantic_settings"] = module
from spark_cache.config import load_config
load_config()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 1
