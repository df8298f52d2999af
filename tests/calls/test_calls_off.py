"""Off means off, and a hit needs neither the SDK nor an API key, checked in fresh interpreters."""

from __future__ import annotations

import json

import pytest
from models_world import QUESTION, EchoModel, run_python

from spark_cache import CacheManager, ConfigError, load_config

LOADED = """
import json, sys
{code}
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""

WITHOUT_SDK = """
import asyncio, sys

class NoSdk:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "openai":
            raise ModuleNotFoundError("No module named 'openai'", name="openai")

sys.meta_path.insert(0, NoSdk())
from spark_cache import OpenAIModel

async def main():
    async with OpenAIModel("gpt-4o", enable_cache=True, cache_dir=sys.argv[1]) as model:
        response = await model.get_text([{"role": "user", "content": sys.argv[2]}])
        print(response.cached, response.content)

asyncio.run(main())
"""

ECHO_OFF = """
import asyncio
from spark_cache import Model, ModelResponse
from spark_cache.models import Provider

class Echo(Provider):
    name = "echo"
    def endpoint(self): return None
    async def call(self, request): return {"said": "Hello"}
    def read(self, raw): return ModelResponse(raw["said"], "end_turn", raw=raw)

assert asyncio.run(Model("echo-1", Echo()).get_text([])).content == "Hello"
"""


def loaded_by(code: str) -> set[str]:
    done = run_python(LOADED.format(code=code))
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


async def test_hit_without_sdk_and_api_key(make_model, cache_dir, monkeypatch):
    """A recorded response is a hit without the SDK and without an API key."""
    monkeypatch.setenv("SPARK_CACHE_ENDPOINT", "recorded")
    recorded = await make_model().get_text(QUESTION)
    done = run_python(WITHOUT_SDK, cache_dir, "What is Python?")
    assert (done.stdout.rstrip("\n"), done.stderr) == (f"True {recorded.content}", "")


def test_miss_without_sdk(cache_dir):
    """Without the SDK, the error for a miss names the package to install."""
    done = run_python(WITHOUT_SDK, cache_dir, "What is Python?")
    assert done.returncode == 1
    assert "pip install 'spark-cache[openai]'" in done.stderr


def test_import_is_light():
    """Importing the package loads no SDK and none of the heavy packages."""
    loaded = loaded_by("import spark_cache")
    assert "spark_cache" in loaded
    assert not loaded & {
        "openai",
        "anthropic",
        "boto3",
        "google",
        "pydantic",
        "structlog",
        "cryptography",
        "rich",
    }


@pytest.mark.parametrize("model", ["openai.OpenAIModel", "anthropic.AnthropicModel"])
def test_a_model_with_the_cache_off_reads_no_settings(model):
    """The constructor imports neither pydantic nor the settings library."""
    module, name = model.split(".")
    loaded = loaded_by(f"from spark_cache.models.{module} import {name}; {name}('m', enable_cache=False)")
    assert not loaded & {"pydantic", "pydantic_settings", "dotenv", "openai", "anthropic"}


async def test_settings_that_cannot_be_used_do_not_fail_a_call_with_the_cache_off(
    make_model, monkeypatch, caplog
):
    """One warning names the variable. With the cache on, the constructor raises."""
    monkeypatch.setattr("spark_cache.config.warn._given", set())
    monkeypatch.setenv("SPARK_CACHE_TTL", "soon")
    model = make_model(enable_cache=False, cache_dir=None)
    assert not (await model.get_text(QUESTION)).cached
    assert "SPARK_CACHE_TTL: 'soon' is not a duration" in caplog.text
    with pytest.raises(ConfigError):
        make_model(enable_cache=True)


def test_import_does_nothing(tmp_path):
    """Importing the package and its models writes nothing and starts no thread."""
    before = sorted(tmp_path.rglob("*"))
    code = "import threading, spark_cache.models, spark_cache.agents; assert threading.active_count() == 1"
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(tmp_path.rglob("*")) == before


def test_call_with_the_cache_off_is_light(tmp_path):
    """A call with the cache off loads neither cryptography nor a log library, and writes nothing."""
    loaded = loaded_by(ECHO_OFF)
    assert not loaded & {"cryptography", "structlog", "openai", "rich", "genai_prices"}
    assert list(tmp_path.rglob("*")) == []


async def test_off_computes_no_key(monkeypatch, cache_dir):
    """With the cache off, no key is computed, no directory is opened, and the response is the provider's."""

    def must_not_be_called(*_, **__):
        raise AssertionError("the cache is off")

    monkeypatch.setattr("spark_cache.core.plan.key_of", must_not_be_called)
    monkeypatch.setattr("spark_cache.core.cache.open_directory", must_not_be_called)
    model = EchoModel("echo-1", enable_cache=False, cache_dir=cache_dir)
    for _ in range(2):
        assert not (await model.get_text(QUESTION)).cached
    assert model.calls == 2
    assert not cache_dir.exists()


async def test_off_by_default(make_model, provider, monkeypatch, tmp_path):
    """Without a profile, a variable or an argument, nothing is cached."""
    model = make_model(enable_cache=None, cache_dir=None)
    for _ in range(2):
        assert not (await model.get_text(QUESTION)).cached
    assert provider.calls == 2
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("profile", "cached"), [("development", True), ("testing", True), ("production", False)]
)
async def test_profile_decides(make_model, monkeypatch, profile, cached):
    """The profile from the environment decides whether a model's responses are cached."""
    monkeypatch.setenv("ENVIRONMENT", profile)
    model = make_model(enable_cache=None, cache_dir=None)
    await model.get_text(QUESTION)
    assert (await model.get_text(QUESTION)).cached is cached


async def test_argument_overrides_the_environment(make_model, provider, monkeypatch):
    """Arguments of the model override the profile and the environment."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")
    model = make_model(enable_cache=False)
    for _ in range(2):
        await model.get_text(QUESTION)
    assert provider.calls == 2


async def test_arguments_override_a_whole_configuration(make_model, tmp_path):
    """Single arguments override a whole configuration that is also given."""
    config = load_config(enabled=True, cache_dir=tmp_path / "given", ttl_seconds=5)
    model = make_model(
        enable_cache=None, cache_dir=tmp_path / "mine", cache_ttl_seconds="1h", cache_config=config
    )
    assert model.cache.config == config.with_(cache_dir=tmp_path / "mine", ttl_seconds=3600)
    assert make_model(enable_cache=None, cache_dir=None, cache_config=config).cache is CacheManager.shared(
        config
    )


def test_names_of_spark():
    """Code written for Spark finds the manager and its configuration under their old names."""
    from spark_cache import CacheConfig  # noqa: PLC0415 - the objects to compare
    from spark_cache.models import cache, openai  # noqa: PLC0415 - the same

    assert (cache.CacheConfig, cache.CacheManager) == (CacheConfig, CacheManager)
    assert openai.OpenAIModel.provider == "openai"
