"""What is made from a configuration and from the table of fields: exports, the schema, the reference."""

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
    """A profile as it is, and as it is after its export has taken its place in the project."""
    before = world.load(name)
    world.profile(name, export_toml(before))
    return before, world.load(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_export_of_a_shipped_profile_loads_back_equal(world: World, name: str) -> None:
    """Field by field, rules and guards included."""
    world.shipped = shipped_profiles()
    before, after = exported_again(world, name)
    assert after == before
    assert [(c.name, c.value) for c in after.provenance.guard.conditions] == [
        (c.name, c.value) for c in before.provenance.guard.conditions
    ]


def test_the_export_of_many_layers_loads_back_equal(world: World) -> None:
    """Also where layers below still hold rules of their own."""
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


def test_an_export_holds_no_key(world: World) -> None:
    """It says what to set instead."""
    key = Fernet.generate_key().decode()
    world.environ |= {"SPARK_CACHE_ENCRYPTION_KEY": key, "SPARK_CACHE_ENCRYPTION": "all"}
    text = export_toml(world.load())
    assert key not in text
    assert text.startswith("# Keys are not exported: set SPARK_CACHE_ENCRYPTION_KEY.\n[cache]\n")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return profile_schema()


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    """It keeps to the rules of its own language."""
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_schema_accepts_the_shipped_profiles(schema: dict[str, Any], name: str) -> None:
    """Each of them, and each points an editor to the schema."""
    text = (shipped_profiles() / f"{name}.toml").read_text()
    jsonschema.validate(tomllib.loads(text), schema)
    assert text.startswith("#:schema ./profile.schema.json\n")


def test_the_schema_accepts_everything_that_exports_write(schema: dict[str, Any], world: World) -> None:
    """A profile with everything in it, and its export."""
    world.profile("mine", RICH.replace('max_ttl = "99d"', ""))
    jsonschema.validate(tomllib.loads(RICH), schema)
    jsonschema.validate(tomllib.loads(export_toml(world.load("mine"))), schema)


BEYOND_A_SCHEMA = {
    "key file in a profile without the file",
    "extends nothing known",
    "extends itself alone",
    "extends in a circle",
}
NOT_A_DOCUMENT = {
    "syntax error",
    "open string",
    "nested without end",
    "duplicate key",
    "not UTF-8",
    "a directory",
}


@pytest.mark.parametrize(
    ("name", "prepare"),
    [(case[0], case[1]) for case in PROFILES if case[0] not in BEYOND_A_SCHEMA | NOT_A_DOCUMENT],
)
def test_the_schema_rejects_every_bad_profile_that_a_schema_can(
    schema: dict[str, Any], world: World, name: str, prepare: Callable[[World], object]
) -> None:
    """An editor marks what a load refuses."""
    prepare(world)
    document = tomllib.loads((world.project_profiles / "mine.toml").read_text())
    assert not jsonschema.Draft202012Validator(schema).is_valid(document), name


def test_every_key_of_the_schema_is_described(schema: dict[str, Any]) -> None:
    """With a description, and an example where a value needs one."""
    cache = schema["properties"]["cache"]["properties"]
    assert set(cache) == {spec.name for spec in FIELDS.values() if spec.in_profiles} | {"ttl", "max_size"}
    assert all(form["description"] and form["examples"] for form in cache.values())


def test_the_schema_beside_the_shipped_profiles_is_this_one(schema: dict[str, Any]) -> None:
    """``spark-cache config schema > profiles/profile.schema.json`` brings them together."""
    assert json.loads((shipped_profiles() / "profile.schema.json").read_text()) == schema


def test_the_reference_names_every_variable() -> None:
    """Those that set a field, those that name the profile, and the one that says where profiles are."""
    assert {variable.name for variable in variables()} == {
        *VARIABLES,
        "SPARK_PROFILE",
        "ENVIRONMENT",
        "SPARK_PROFILES_DIR",
    }


def test_the_example_of_a_dotenv_file_is_made_from_the_reference(request: pytest.FixtureRequest) -> None:
    """``spark-cache config env --dotenv > .env.example`` brings them together."""
    assert (request.config.rootpath / ".env.example").read_text() == dotenv_example()


def test_the_documentation_lists_every_field_as_it_is(request: pytest.FixtureRequest) -> None:
    """Variables, defaults and meanings on the page are those of the table."""
    page = (request.config.rootpath / "docs" / "reference" / "configuration.md").read_text()
    for name, spec in FIELDS.items():
        named = f" {', '.join(f'`{variable}`' for variable in spec.variables)} " if spec.variables else " "
        default = formatted(name, getattr(CacheConfig(), name))
        assert f"| `{name}` |{named}| {default} | {spec.description} |" in page


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_documentation_lists_every_condition(request: pytest.FixtureRequest, name: str) -> None:
    """A new one needs a row on the page."""
    page = (request.config.rootpath / "docs" / "reference" / "configuration.md").read_text()
    assert f"| `{name}` |" in page


def test_the_example_can_be_uncommented_as_a_whole(tmp_path: Path) -> None:
    """What it suggests is accepted, apart from the second name of a variable and what has no example."""
    lines = [line[2:] for line in dotenv_example().splitlines() if line.startswith("# ") and "=" in line]
    environ = dict(line.split("=", 1) for line in lines if " " not in line.split("=")[0])
    del environ["SPARK_CACHE_MAX_SIZE_MB"]
    config = load_config(environ=environ | {"HOME": str(tmp_path)}, cwd=tmp_path)
    assert (config.profile, config.cache_dir) == ("development", tmp_path / "dev_cache")


def test_surroundings_without_a_variable_forget_it(world: World) -> None:
    """In the process and in ``.env`` alike, as ``explain --unset`` needs it."""
    world.environ["SPARK_CACHE_TTL"] = "1"
    world.dotenv("SPARK_CACHE_TTL=2\n")
    around = world.around().without(["SPARK_CACHE_TTL"])
    assert isinstance(around, ConfigContext)
    resolution = resolve(None, {}, around)
    assert resolution.config is not None
    assert resolution.config.ttl_seconds == 86400
