"""Precedence and origins, for every field and every pair of adjacent layers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from config_world import World
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.config import CacheConfig
from spark_cache.config.fields import FIELDS
from spark_cache.types import Mode

KEYS = Fernet.generate_key().decode(), Fernet.generate_key().decode()

SAMPLES = {
    "enabled": (("true", "false"), (True, False)),
    "cache_dir": (("/a", "/b"), (Path("/a"), Path("/b"))),
    "ttl_seconds": (("90s", "2h"), (90, 7200)),
    "max_cache_size_mb": (("5MB", "2GB"), (5, 2048)),
    "cleanup_interval_seconds": (("10s", "20s"), (10, 20)),
    "mode": (("refresh", "read-only"), (Mode.REFRESH, Mode.READ_ONLY)),
    "namespace": (("one", "two"), ("one", "two")),
    "cache_version": (("v1", "v2"), ("v1", "v2")),
    "endpoint": (("here", "there"), ("here", "there")),
    # A checkout cannot lower the level: see test_config_encryption.
    "encryption": (("sensitive", "off"), ("sensitive", "off")),
    "encryption_keys": (KEYS, tuple((key,) for key in KEYS)),
    "encryption_key_file": (("one.keys", "two.keys"), ("one.keys", "two.keys")),
    "fsync": (("yes", "no"), (True, False)),
    "store_requests": (("on", "off"), (True, False)),
    "store_truncated": (("1", "0"), (True, False)),
    "store_empty": (("1", "0"), (True, False)),
    "hot_entries": (("1", "0"), (True, False)),
    "ignore": (("body.user", "headers.x-run"), (("body.user",), ("headers.x-run",))),
    "lock_timeout_seconds": (("3s", "4s"), (3, 4)),
    "store": (("memory", "file"), ("memory", "file")),
    "log_level": (("debug", "ERROR"), ("DEBUG", "ERROR")),
    "log_format": (("json", "console"), ("json", "console")),
    "allow_plaintext": (("true", "false"), (True, False)),
    "commit_entries": (("true", "false"), (True, False)),
    "recordings_expire": (("true", "false"), (True, False)),
    "redact": (("KD-[0-9]{6}", "case .*"), (("KD-[0-9]{6}",), ("case .*",))),
    "redact_emails": (("true", "false"), (True, False)),
}
"""Two raw values for every field, and their parsed values."""

LAYERS = (
    "constructor",
    "environment",
    ".env",
    "project profile",
    "user profile",
    "shipped profile",
    "default",
)
FILES = LAYERS[3:6]


def lowest(field: str) -> str:
    """Return the kind of the origin if no layer sets a field."""
    return "derived" if field == "cache_dir" else "default"


def layers_of(field: str) -> list[str]:
    """Return the layers that can set a field, highest first."""
    spec = FIELDS[field]
    return [
        layer
        for layer in LAYERS
        if (layer not in ("environment", ".env") or spec.variables)
        and (layer not in FILES or spec.in_profiles)
    ]


EDGES = [
    (field, upper, lower)
    for field in SAMPLES
    for upper, lower in zip(layers_of(field), layers_of(field)[1:], strict=False)
]


class Layers:
    """A builder for the layers of a world that records the line of every field."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.overrides: dict[str, str] = {}
        self.lines: dict[tuple[str, str], tuple[Path, int]] = {}
        self.texts = {".env": "# settings\n\n"} | dict.fromkeys(FILES, 'description = "x"\n\n[cache]\n')
        self.paths = {
            ".env": world.project / ".env",
            "project profile": world.project_profiles / "mine.toml",
            "user profile": world.user_profiles / "mine.toml",
            "shipped profile": world.shipped / "mine.toml",
        }
        for name in ("one.keys", "two.keys"):
            world.write(world.root / name, Fernet.generate_key().decode()).chmod(0o600)

    def put(self, layer: str, field: str, text: str) -> None:
        """Set a field in one layer."""
        spec = FIELDS[field]
        written = str(self.world.root / text) if field == "encryption_key_file" else text
        if layer == "constructor":
            self.overrides[field] = written
        elif layer == "environment":
            self.world.environ[spec.variables[0]] = written
        elif layer != "default":
            self.lines[layer, field] = self.paths[layer], self.texts[layer].count("\n") + 1
            line = f"{spec.variables[0]}={written}\n" if layer == ".env" else f'{field} = "{written}"\n'
            self.texts[layer] += line

    def load(self) -> CacheConfig:
        """Write the files of all layers and load the configuration."""
        for layer, path in self.paths.items():
            self.world.write(path, self.texts[layer])
        return self.world.load("mine", **self.overrides)

    def location(self, layer: str, field: str) -> tuple[Path | None, int | None]:
        """Return the file and line where a layer sets a field."""
        return self.lines.get((layer, field), (None, None))


def plain(world: World, config: CacheConfig, field: str) -> object:
    """Return the value of a field in the form used in ``SAMPLES``."""
    value = getattr(config, field)
    if field == "encryption_keys":
        return tuple(key.get_secret_value() for key in value)
    return value.name if field == "encryption_key_file" and value is not None else value


@pytest.mark.parametrize(("field", "upper", "lower"), EDGES)
def test_the_higher_of_two_adjacent_layers_wins(world: World, field: str, upper: str, lower: str) -> None:
    """The higher layer provides the value, and both origins include file and line."""
    layers = Layers(world)
    texts, values = SAMPLES[field]
    layers.put(upper, field, texts[0])
    layers.put(lower, field, texts[1])

    config = layers.load()

    assert plain(world, config, field) == values[0]
    origin = config.origins[field]
    assert origin.kind == upper
    assert (origin.path, origin.line) == layers.location(upper, field)
    below = origin.shadows[0]
    assert below.kind == (lowest(field) if lower == "default" else lower)
    assert (below.path, below.line) == layers.location(lower, field)


@pytest.mark.parametrize("field", SAMPLES)
def test_a_field_that_no_layer_sets_has_its_default(world: World, field: str) -> None:
    """If no layer sets a field, the built-in default applies and its origin says so."""
    config = world.load()
    assert config.origins[field].kind == lowest(field)
    assert config.origins[field].shadows == ()
    expected = world.context().default_cache_dir if field == "cache_dir" else getattr(CacheConfig(), field)
    assert getattr(config, field) == expected


def test_every_field_is_tested() -> None:
    """A new field needs a row in ``SAMPLES``."""
    assert set(SAMPLES) == set(FIELDS) - {"profile"}


def not_lowered(found: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """Move the user profile to the top if a checkout would lower its encryption level."""
    users = [entry for entry in found if entry == ("user profile", "sensitive")]
    if users and found[0] in ((".env", "off"), ("project profile", "off")):
        return [*users, *(entry for entry in found if entry not in users)]
    return found


assignments = st.dictionaries(
    st.sampled_from([(layer, field) for field in SAMPLES for layer in layers_of(field)[:-1]]),
    st.integers(0, 1),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(assignments)
def test_any_assignment_resolves_as_the_reference_model_says(assigned: dict[tuple[str, str], int]) -> None:
    """The highest layer that sets a field decides, and it shadows all others."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder).resolve() / "world")
        layers = Layers(world)
        expected: dict[str, list[tuple[str, object]]] = {field: [] for field in SAMPLES}
        for layer in LAYERS:
            fields = [field for field in SAMPLES if (layer, field) in assigned]
            if "encryption_key_file" in fields and "encryption_keys" in fields:
                fields.remove("encryption_keys")
            for field in fields:
                texts, values = SAMPLES[field]
                layers.put(layer, field, texts[assigned[layer, field]])
                expected[field].append((layer, values[assigned[layer, field]]))
        # Keys and the key file are one setting: the higher layer that sets either replaces both.
        pair = ("encryption_keys", "encryption_key_file")
        first = min((LAYERS.index(expected[field][0][0]) for field in pair if expected[field]), default=None)
        config = layers.load()
        expected["encryption"] = not_lowered(expected["encryption"])
        for field, found in expected.items():
            origin = config.origins[field]
            replaced = field in pair and found and LAYERS.index(found[0][0]) != first
            if replaced or not found:
                assert origin.kind == lowest(field)
                assert [below.kind for below in origin.shadows] == [layer for layer, _ in found]
            else:
                assert plain(world, config, field) == found[0][1]
                assert [origin.kind, *(below.kind for below in origin.shadows)] == [
                    *(layer for layer, _ in found),
                    lowest(field),
                ]
