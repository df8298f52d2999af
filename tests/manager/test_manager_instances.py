"""One manager for a process, independent managers, and reloading."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from manager_world import ANSWER, fill, manager_of

from spark_cache import CacheConfig, CacheManager, ConfigError, Model, ModelResponse, load_config
from spark_cache.models import Provider


def test_get_instance_returns_one_manager():
    """get_instance returns the same manager each time, with the configuration that is loaded."""
    instance = CacheManager.get_instance()
    assert CacheManager.get_instance() is instance
    assert instance.config == load_config()


def test_the_instance_uses_the_environment(monkeypatch):
    """The first get_instance reads the profile and the environment."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    assert CacheManager.get_instance().config.profile == "development"
    assert CacheManager.get_instance().cache_dir == Path("dev_cache").absolute()


def test_equal_configuration_is_the_same_instance(tmp_path):
    """A later equal configuration returns the same instance."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    instance = CacheManager.get_instance(config)
    assert CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path)) is instance


def test_a_different_configuration_is_an_error(tmp_path):
    """A later, different configuration is an error that names the alternative. The instance stays."""
    instance = CacheManager.get_instance(CacheConfig(cache_dir=tmp_path))
    with pytest.raises(ConfigError, match="reset_instance"):
        CacheManager.get_instance(CacheConfig(cache_dir=tmp_path, ttl_seconds=5))
    assert CacheManager.get_instance() is instance


def test_reset_instance(tmp_path):
    """After reset_instance a different configuration can be given, and the cache is unchanged."""
    fill(CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path)), "openai/gpt-4o/a")
    CacheManager.reset_instance()
    instance = CacheManager.get_instance(CacheConfig(enabled=True, cache_dir=tmp_path, ttl_seconds=5))
    assert instance.config.ttl_seconds == 5
    assert instance.get("a") == ANSWER


def test_configuration_errors_come_from_get_instance(monkeypatch):
    """get_instance raises an invalid configuration's error, not a later call."""
    monkeypatch.setenv("SPARK_CACHE_TTL", "soon")
    with pytest.raises(ConfigError, match="SPARK_CACHE_TTL"):
        CacheManager.get_instance()


def test_independent_managers(tmp_path):
    """CacheManager(config) is independent of the instance and of other managers."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    assert CacheManager(config) is not CacheManager(config)
    assert CacheManager(config) is not CacheManager.get_instance(config)


def test_instance_is_shared_with_models(tmp_path):
    """The instance and the models with an equal configuration share one manager."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    assert CacheManager.get_instance(config) is CacheManager.shared(config)


def test_default_directory(monkeypatch, tmp_path):
    """Without a directory, entries are stored below the user's cache folder."""
    assert CacheManager(CacheConfig()).cache_dir == tmp_path / ".cache/spark/llm-responses"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert CacheManager(CacheConfig()).cache_dir == tmp_path / "xdg/spark/llm-responses"


def test_creating_a_manager_writes_nothing(cache_dir):
    """A manager creates no directory until something is stored."""
    manager = manager_of(cache_dir)
    manager.get("a")
    manager.has_entry("a")
    manager.cleanup_expired()
    manager.clear_all()
    assert not cache_dir.exists()


def test_reload_applies_another_configuration(manager, cache_dir):
    """After a reload the manager uses the new configuration, and reports what changed."""
    fill(manager, "openai/gpt-4o/a")
    changes = manager.reload(manager.config.with_(cache_dir=cache_dir / "other", ttl_seconds=60))
    assert {change.field for change in changes} == {"cache_dir", "ttl_seconds"}
    assert manager.get("a") is None
    assert manager.cache_dir == cache_dir / "other"


def test_reload_reads_the_layers_again(monkeypatch, tmp_path):
    """A reload without arguments resolves environment and profiles again."""
    manager = CacheManager(load_config(cache_dir=tmp_path))
    assert not manager.config.enabled
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")
    manager.reload()
    assert manager.config.enabled
    assert manager.cache_dir == tmp_path


def test_reload_that_fails_changes_nothing(monkeypatch, tmp_path):
    """If the new configuration is invalid, the old one stays in force."""
    manager = CacheManager(load_config(cache_dir=tmp_path))
    before = manager.config
    monkeypatch.setenv("SPARK_CACHE_TTL", "soon")
    with pytest.raises(ConfigError):
        manager.reload()
    assert manager.config is before


def test_reloaded_manager_is_not_reused_for_its_old_configuration(tmp_path):
    """A manager that was reloaded with another configuration is not reused for its old one."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path)
    moved = CacheManager.shared(config)
    moved.reload(config.with_(ttl_seconds=5))
    assert CacheManager.shared(config).config == config


class SlowProvider(Provider):
    """A provider that responds when told."""

    name = "slow"

    def __init__(self) -> None:
        self.called, self.go = asyncio.Event(), asyncio.Event()

    def endpoint(self):
        return None

    async def call(self, _request):
        self.called.set()
        await self.go.wait()
        return {}

    def read(self, raw):
        return ModelResponse("done", "end_turn", raw=raw)


async def test_running_call_stores_where_it_started(cache_dir):
    """A call that started before a reload stores its response in the old directory."""
    slow = SlowProvider()
    model = Model("m", slow, cache_config=CacheConfig(enabled=True, cache_dir=cache_dir / "old"))
    call = asyncio.create_task(model.get_text([]))
    await slow.called.wait()
    model.cache.reload(CacheConfig(enabled=True, cache_dir=cache_dir / "new"))
    slow.go.set()
    await call
    assert [path.parts[-4] for path in cache_dir.rglob("slow/m/*.json")] == ["old"]


def test_log_level(tmp_path):
    """The configured log level applies to the cache's logger."""
    CacheManager(CacheConfig(cache_dir=tmp_path, log_level="ERROR"))
    assert logging.getLogger("spark_cache").level == logging.ERROR


@pytest.mark.parametrize("make", [CacheManager, CacheManager.get_instance])
def test_invalid_configuration_type(make):
    """A manager requires a configuration, and the error names the type that it was given."""
    with pytest.raises(TypeError, match="config must be a CacheConfig, not dict"):
        make({"enabled": True})


def test_reload_shared_reloads_the_shared_managers(monkeypatch):
    """Managers with a loaded configuration follow the environment. A manager with a given configuration does not change."""
    found = CacheManager.shared(load_config())
    given = CacheManager.shared(CacheConfig(enabled=False))
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")

    CacheManager.reload_shared()

    assert (found.config.enabled, given.config.enabled) == (True, False)


def test_reload_shared_skips_invalid_configurations(monkeypatch):
    """A manager whose new configuration is invalid keeps its old one, and the others are reloaded."""
    production = CacheManager.shared(load_config("production"))
    other = CacheManager.shared(load_config("testing"))
    monkeypatch.setenv("SPARK_CACHE_MODE", "replay")

    CacheManager.reload_shared()

    assert (production.config.mode, other.config.mode) == ("read-write", "replay")
