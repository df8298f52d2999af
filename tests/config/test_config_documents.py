"""Documents generated from a configuration or the table of settings: exports, the schema and the reference."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from config_mistakes import PROFILES
from cryptography.fernet import Fernet

from spark_cache.config import CacheConfig, load_config
from spark_cache.config.context import ConfigContext, shipped_profiles
from spark_cache.config.export import export_toml
from spark_cache.config.fields import FIELDS, VARIABLES
from spark_cache.config.format import formatted
from spark_cache.config.guard import CONDITIONS
from spark_cache.config.reference import dotenv_example, variables
from spark_cache.config.resolve import resolve
from spark_cache.config.schema import profile_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config_world import World

SHIPPED = ("development", "testing", "staging", "production")
RICH = """
[cache]
ttl = "never"
max_size = "unlimited"
namespace = "team \\"a\\""
cleanup_interval_seconds = 0.5
mode = "read-only"
log_level = "DEBUG"

[[rules]]
provider = "openai"
model = "gpt-4o*"
ttl = "never"
mode = "refresh"

[[rules]]
model = "*-internal"
sensitive = true
endpoint = "recorded"

[guard]
forbid_modes = ["replay", "bypass"]
max_ttl = "99d"
require_namespace = false
"""


def exported_again(world: World, name: str) -> tuple[CacheConfig, CacheConfig]:
    """Load a profile, save its export as a project profile, and load that again."""
    before = world.load(name)
    world.profile(name, export_toml(before))
    return before, world.load(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_export_of_a_shipped_profile_loads_back_equal(world: World, name: str) -> None:
    """All fields are equal, including rules and guards."""
    world.shipped = shipped_profiles()
    before, after = exported_again(world, name)
    assert after == before
    assert [(c.name, c.value) for c in after.provenance.guard.conditions] == [
        (c.name, c.value) for c in before.provenance.guard.conditions
    ]


def test_the_export_of_many_layers_loads_back_equal(world: World) -> None:
    """The result is also equal if lower layers contain rules."""
    world.ship("mine", '[cache]\n[[rules]]\nmodel = "gpt-4o*"\nnamespace = "low"\nttl = "5s"\n')
    world.user("mine", RICH.replace('max_ttl = "99d"', ""))
    world.profile(
        "mine", '[cache]\ncache_dir = "./c"\n\n[[rules]]\nprovider = "openai"\nmodel = "gpt-*"\nttl = 9\n'
    )
    world.dotenv("SPARK_CACHE_ENDPOINT=here\n")
    before, after = exported_again(world, "mine")
    assert after == before
    for model in ("gpt-4o-mini", "gpt-3", "x-internal"):
        assert after.policy("openai", model) == before.policy("openai", model)


def test_an_export_contains_no_encryption_key(world: World) -> None:
    """A comment says which variable to set instead."""
    key = Fernet.generate_key().decode()
    world.environ |= {"SPARK_CACHE_ENCRYPTION_KEY": key, "SPARK_CACHE_ENCRYPTION": "all"}
    text = export_toml(world.load())
    assert key not in text
    assert text.startswith("# Encryption keys are not exported: set SPARK_CACHE_ENCRYPTION_KEY.\n[cache]\n")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return profile_schema()


def test_the_schema_is_valid(schema: dict[str, Any]) -> None:
    """The schema is a valid JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_schema_accepts_the_shipped_profiles(schema: dict[str, Any], name: str) -> None:
    """Each profile is valid and points an editor to the schema."""
    text = (shipped_profiles() / f"{name}.toml").read_text()
    jsonschema.validate(tomllib.loads(text), schema)
    assert text.startswith("#:schema ./profile.schema.json\n")


def test_the_schema_accepts_everything_that_exports_write(schema: dict[str, Any], world: World) -> None:
    """A profile that uses everything is valid, and so is its export."""
    world.profile("mine", RICH.replace('max_ttl = "99d"', ""))
    jsonschema.validate(tomllib.loads(RICH), schema)
    jsonschema.validate(tomllib.loads(export_toml(world.load("mine"))), schema)


NOT_EXPRESSIBLE = {
    "missing key file in a profile",
    "extends an unknown profile",
    "extends itself without a lower layer",
    "extends in a cycle",
}
NOT_A_DOCUMENT = {
    "syntax error",
    "unclosed string",
    "nested too deeply",
    "duplicate key",
    "not UTF-8",
    "directory as a profile",
}


@pytest.mark.parametrize(
    ("name", "prepare"),
    [(case[0], case[1]) for case in PROFILES if case[0] not in NOT_EXPRESSIBLE | NOT_A_DOCUMENT],
)
def test_the_schema_rejects_every_bad_profile_that_a_schema_can(
    schema: dict[str, Any], world: World, name: str, prepare: Callable[[World], object]
) -> None:
    """An editor marks what a load rejects."""
    prepare(world)
    document = tomllib.loads((world.project_profiles / "mine.toml").read_text())
    assert not jsonschema.Draft202012Validator(schema).is_valid(document), name


def test_every_key_of_the_schema_is_described(schema: dict[str, Any]) -> None:
    """Every key has a description and examples."""
    cache = schema["properties"]["cache"]["properties"]
    assert set(cache) == {spec.name for spec in FIELDS.values() if spec.in_profiles} | {"ttl", "max_size"}
    assert all(form["description"] and form["examples"] for form in cache.values())


def test_the_schema_file_is_up_to_date(schema: dict[str, Any]) -> None:
    """``spark-cache config schema > profiles/profile.schema.json`` updates it."""
    assert json.loads((shipped_profiles() / "profile.schema.json").read_text()) == schema


def test_the_reference_names_every_variable() -> None:
    """Variables for fields, for the profile, and for the directory of profiles."""
    assert {variable.name for variable in variables()} == {
        *VARIABLES,
        "SPARK_PROFILE",
        "ENVIRONMENT",
        "SPARK_PROFILES_DIR",
    }


def test_the_example_dotenv_file_is_up_to_date(request: pytest.FixtureRequest) -> None:
    """``spark-cache config env --dotenv > .env.example`` updates it."""
    assert (request.config.rootpath / ".env.example").read_text() == dotenv_example()


def test_the_documentation_lists_every_field(request: pytest.FixtureRequest) -> None:
    """Variables, defaults and descriptions on the page match the table of settings."""
    page = (request.config.rootpath / "docs" / "reference" / "configuration.md").read_text()
    for name, spec in FIELDS.items():
        named = f" {', '.join(f'`{variable}`' for variable in spec.variables)} " if spec.variables else " "
        default = formatted(name, getattr(CacheConfig(), name))
        assert f"| `{name}` |{named}| {default} | {spec.description} |" in page


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_documentation_lists_every_condition(request: pytest.FixtureRequest, name: str) -> None:
    """A new condition needs a row on the page."""
    page = (request.config.rootpath / "docs" / "reference" / "configuration.md").read_text()
    assert f"| `{name}` |" in page


def test_the_example_can_be_uncommented_as_a_whole(tmp_path: Path) -> None:
    """Every suggested value is accepted. Only the alias of a variable is left out."""
    lines = [line[2:] for line in dotenv_example().splitlines() if line.startswith("# ") and "=" in line]
    environ = dict(line.split("=", 1) for line in lines if " " not in line.split("=")[0])
    del environ["SPARK_CACHE_MAX_SIZE_MB"]
    config = load_config(environ=environ | {"HOME": str(tmp_path)}, cwd=tmp_path)
    assert (config.profile, config.cache_dir) == ("development", tmp_path / "dev_cache")


def test_a_context_without_a_variable_ignores_it(world: World) -> None:
    """The variable counts as unset in the process and in ``.env``, as ``explain --unset`` requires."""
    world.environ["SPARK_CACHE_TTL"] = "1"
    world.dotenv("SPARK_CACHE_TTL=2\n")
    context = world.context().without(["SPARK_CACHE_TTL"])
    assert isinstance(context, ConfigContext)
    resolution = resolve(None, {}, context)
    assert resolution.config is not None
    assert resolution.config.ttl_seconds == 86400
