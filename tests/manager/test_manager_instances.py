"""One manager for a process, managers of one's own, and reloading."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from manager_world import ANSWER, fill, manager_of

from spark_cache import CacheConfig, CacheManager, ConfigError, Model, ModelResponse, load_config
from spark_cache.models import Provider


def test_the_instance_is_one():
    """get_instance gives the same manager each time, with the configuration that is found."""
    instance = CacheManager.get_instance()
    assert CacheManager.get_instance() is instance
    assert instance.config == load_config()


def test_the_instance_goes_by_the_environment(monkeypatch):
    """The first get_instance reads profile and environment."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    assert CacheManager.get_instance().config.profile == "development"
    assert CacheManager.get_instance().cache_dir == Path("dev_cache").absolute()


def test_equal_configuration_is_the_same_instance(tmp_path):
    """An equal configuration later is no contradiction."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    instance = CacheManager.get_instance(config)
    assert CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path)) is instance


def test_another_configuration_is_an_error(tmp_path):
    """Another configuration later is an error that names the way out; the instance stays."""
    instance = CacheManager.get_instance(CacheConfig(cache_dir=tmp_path))
    with pytest.raises(ConfigError, match="reset_instance"):
        CacheManager.get_instance(CacheConfig(cache_dir=tmp_path, ttl_seconds=5))
    assert CacheManager.get_instance() is instance


def test_reset_instance(tmp_path):
    """After reset_instance another configuration can be given, and the cache is as it was."""
    fill(CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path)), "openai/gpt-4o/a")
    CacheManager.reset_instance()
    instance = CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path, ttl_seconds=5))
    assert instance.config.ttl_seconds == 5
    assert instance.get("a") == ANSWER


def test_configuration_errors_come_from_get_instance(monkeypatch):
    """A configuration that cannot be used is an error of get_instance, not of a call."""
    monkeypatch.setenv("SPARK_CACHE_TTL", "soon")
    with pytest.raises(ConfigError, match="SPARK_CACHE_TTL"):
        CacheManager.get_instance()


def test_managers_of_one_s_own(tmp_path):
    """CacheManager(config) is independent of the instance and of other managers."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    assert CacheManager(config) is not CacheManager(config)
    assert CacheManager(config) is not CacheManager.get_instance(config)


def test_instance_is_shared_with_models(tmp_path):
    """The instance and the models of an equal configuration are served by one manager."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    assert CacheManager.get_instance(config) is CacheManager.shared(config)


def test_default_directory(monkeypatch, tmp_path):
    """Without a directory, entries go below the user's cache folder."""
    assert CacheManager(CacheConfig()).cache_dir == tmp_path / ".cache/spark/llm-responses"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert CacheManager(CacheConfig()).cache_dir == tmp_path / "xdg/spark/llm-responses"


def test_making_a_manager_touches_nothing(cache_dir):
    """A manager makes no directory until something is stored."""
    manager = manager_of(cache_dir)
    manager.get("a")
    manager.has_entry("a")
    manager.cleanup_expired()
    manager.clear_all()
    assert not cache_dir.exists()


def test_reload_takes_on_another_configuration(manager, cache_dir):
    """After a reload the manager goes by the new configuration, and says what changed."""
    fill(manager, "openai/gpt-4o/a")
    changes = manager.reload(manager.config.with_(cache_dir=cache_dir / "other", ttl_seconds=60))
    assert {change.field for change in changes} == {"cache_dir", "ttl_seconds"}
    assert manager.get("a") is None
    assert manager.cache_dir == cache_dir / "other"


def test_reload_reads_the_layers_again(monkeypatch, tmp_path):
    """A reload without arguments resolves environment and profiles anew."""
    manager = CacheManager(load_config(cache_dir=tmp_path))
    assert not manager.config.enabled
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")
    manager.reload()
    assert manager.config.enabled
    assert manager.cache_dir == tmp_path


def test_reload_that_fails_changes_nothing(monkeypatch, tmp_path):
    """A configuration that cannot be used leaves the old one in force."""
    manager = CacheManager(load_config(cache_dir=tmp_path))
    before = manager.config
    monkeypatch.setenv("SPARK_CACHE_TTL", "soon")
    with pytest.raises(ConfigError):
        manager.reload()
    assert manager.config is before


def test_reloaded_manager_is_not_given_for_its_old_configuration(tmp_path):
    """Who asks for a configuration gets a manager that has it, also when another moved on from it."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    moved = CacheManager.shared(config)
    moved.reload(config.with_(ttl_seconds=5))
    assert CacheManager.shared(config).config == config


class SlowProvider(Provider):
    """A provider that answers when it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    def endpoint(self):
        return None

    async def call(self, _request):
        self.asked.set()
        await self.go.wait()
        return {}

    def read(self, raw):
        return ModelResponse("done", "end_turn", raw=raw)


async def test_call_under_way_ends_where_it_began(cache_dir):
    """A call that began before a reload stores its answer where it began."""
    slow = SlowProvider()
    model = Model("m", slow, cache_config=CacheConfig(enabled=True, cache_dir=cache_dir / "old"))
    call = asyncio.create_task(model.get_text([]))
    await slow.asked.wait()
    model.cache.reload(CacheConfig(enabled=True, cache_dir=cache_dir / "new"))
    slow.go.set()
    await call
    assert [path.parts[-4] for path in cache_dir.rglob("slow/m/*.json")] == ["old"]


def test_log_level(tmp_path):
    """A configured log level is that of the cache's logger."""
    CacheManager(CacheConfig(cache_dir=tmp_path, log_level="ERROR"))
    assert logging.getLogger("spark_cache").level == logging.ERROR


@pytest.mark.parametrize("make", [CacheManager, CacheManager.get_instance])
def test_a_configuration_of_another_kind(make):
    """A manager is made of a configuration, and says so when it is given something else."""
    with pytest.raises(TypeError, match="config must be a CacheConfig, not dict"):
        make({"enabled": True})


def test_reload_shared_reloads_what_models_share(monkeypatch):
    """Managers whose configuration was found follow the environment; one that was given all stays as it is."""
    found = CacheManager.shared(load_config())
    given = CacheManager.shared(CacheConfig(enabled=False))
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")

    CacheManager.reload_shared()

    assert (found.config.enabled, given.config.enabled) == (True, False)


def test_reload_shared_passes_over_what_cannot_be_reloaded(monkeypatch):
    """A manager whose layers say what cannot be used keeps its configuration, and the others are reloaded."""
    production = CacheManager.shared(load_config("production"))
    other = CacheManager.shared(load_config("testing"))
    monkeypatch.setenv("SPARK_CACHE_MODE", "replay")

    CacheManager.reload_shared()

    assert (production.config.mode, other.config.mode) == ("read-write", "replay")
