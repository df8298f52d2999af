"""``CacheConfig`` as a value."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr, ValidationError

from spark_cache.config import CacheConfig, compare
from spark_cache.config.secret import key_id
from spark_cache.entries.keyring import KeyRing
from spark_cache.errors import ConfigError
from spark_cache.types import Mode

KEY = Fernet.generate_key().decode()


def test_the_plain_constructor_gives_the_defaults() -> None:
    """The defaults match the documentation."""
    config = CacheConfig()
    assert config.enabled is False
    assert config.cache_dir is None
    assert config.ttl_seconds == 86400
    assert config.max_cache_size_mb == 1000
    assert config.cleanup_interval_seconds == 3600
    assert config.mode is Mode.READ_WRITE
    assert config.encryption == "sensitive"
    assert config.rules == ()


def test_the_plain_constructor_reads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither variables nor files affect it."""
    monkeypatch.setenv("SPARK_ENABLE_CACHE", "true")
    monkeypatch.setenv("ENVIRONMENT", "testing")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SPARK_CACHE_TTL=1\n")
    assert CacheConfig() == CacheConfig(enabled=False, ttl_seconds="24h")


def test_a_configuration_is_frozen() -> None:
    """A shared configuration never changes."""
    with pytest.raises(ValidationError):
        CacheConfig().enabled = True


def test_equal_values_are_equal_and_hash_alike() -> None:
    """The form in which values were given does not matter."""
    one = CacheConfig(ttl_seconds="1h", cache_dir="/x", rules=[{"model": "a", "ttl": "1m"}])
    other = CacheConfig(ttl_seconds=3600, cache_dir=Path("/x"), rules=[{"model": "a", "ttl_seconds": 60}])
    assert one == other
    assert len({one, other}) == 1
    assert one != CacheConfig()
    assert one != "something else"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_equal(copied: object) -> None:
    """A copy has the same keys and the same origins."""
    config = CacheConfig(namespace="n", encryption_keys=KEY, rules=[{"model": "a", "sensitive": True}])
    again = copied(config)
    assert again == config
    assert again.fernet_keys() == (KEY,)
    assert again.origins == config.origins


def test_a_configuration_can_be_pickled() -> None:
    """The copy is equal and keeps its origins."""
    config = CacheConfig(namespace="n", rules=[{"model": "a", "sensitive": True}])
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert again.origins == config.origins


def test_a_configuration_with_keys_cannot_be_pickled() -> None:
    """A pickle may end up in a file or a queue, so pickling raises an error that says what to do."""
    with pytest.raises(TypeError, match="load it again in the other process"):
        pickle.dumps(CacheConfig(encryption_keys=KEY))


def test_no_representation_shows_a_key() -> None:
    """Text, JSON and origins do not contain the key."""
    config = CacheConfig(encryption_keys=KEY).with_(encryption_keys=[KEY])
    forms = (
        repr(config),
        str(config),
        config.model_dump_json(),
        repr(config.origins),
        repr(config.provenance),
    )
    assert not [form for form in forms if KEY in form]


def test_a_key_has_the_same_id_as_in_its_entries() -> None:
    """The key ID in a report can be matched to the key ID of an entry."""
    assert KeyRing([KEY]).ids == (key_id(KEY),)


@pytest.mark.parametrize(
    "keys", [KEY, [KEY], (SecretStr(KEY),), SecretStr(KEY)], ids=["text", "list", "tuple", "secret"]
)
def test_an_origin_shows_a_key_by_its_id(keys: object) -> None:
    """The form in which the key was given does not matter."""
    origin = CacheConfig(encryption_keys=keys).with_(encryption_keys=keys).origins["encryption_keys"]
    assert origin.value == f"key id {key_id(KEY)}"


def test_keys_come_newest_first() -> None:
    """Keys keep the order in which they are given."""
    other = Fernet.generate_key().decode()
    assert CacheConfig(encryption_keys=f"{KEY}, {other}").fernet_keys() == (KEY, other)
    assert CacheConfig(encryption_keys=(SecretStr(other), KEY)).fernet_keys() == (other, KEY)


def test_keys_come_from_the_file(tmp_path: Path) -> None:
    """The file has one key per line. Comments and empty lines are ignored."""
    file = tmp_path / "keys"
    file.write_text(f"# newest\n{KEY}\n\n")
    file.chmod(0o600)
    config = CacheConfig(encryption="all", encryption_key_file=file)
    assert config.fernet_keys() == (KEY,)
    assert config.encryption_keys == ()


def test_other_keys_in_the_key_file_make_a_different_configuration(tmp_path: Path) -> None:
    """A reload after a rotation detects the change."""
    file = tmp_path / "keys"
    file.write_text(KEY)
    file.chmod(0o600)
    before = CacheConfig(encryption_key_file=file)
    file.write_text(Fernet.generate_key().decode())
    after = CacheConfig(encryption_key_file=file)
    assert before != after
    assert [difference.field for difference in compare(before, after)] == ["encryption_key_file"]


def test_a_relative_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Changing the working directory later does not move the cache."""
    monkeypatch.chdir(tmp_path)
    assert CacheConfig(cache_dir="x").cache_dir == tmp_path / "x"


def test_with_changes_a_copy() -> None:
    """The original does not change."""
    config = CacheConfig(namespace="n")
    changed = config.with_(ttl_seconds="never", enabled=True)
    assert (changed.ttl_seconds, changed.enabled, changed.namespace) == (None, True, "n")
    assert config == CacheConfig(namespace="n")


def test_with_records_the_origin_of_its_changes() -> None:
    """The new value shadows the old one."""
    origin = CacheConfig(ttl_seconds="1h").with_(ttl_seconds="2h").origins["ttl_seconds"]
    assert (origin.kind, origin.value) == ("constructor", "2h")
    assert [(below.kind, below.value) for below in origin.shadows] == [
        ("constructor", "3600"),
        ("default", "86400"),
    ]


def test_with_replaces_the_keys_as_a_whole(tmp_path: Path) -> None:
    """A new key also replaces the key file, because both are one setting."""
    file = tmp_path / "keys"
    file.write_text(Fernet.generate_key().decode())
    file.chmod(0o600)
    config = CacheConfig(encryption_key_file=file).with_(encryption_keys=KEY)
    assert config.encryption_key_file is None
    assert config.fernet_keys() == (KEY,)


def test_with_rejects_what_the_constructor_rejects() -> None:
    """The error lists all problems."""
    with pytest.raises(ConfigError) as caught:
        CacheConfig().with_(ttl_seconds="soon", tll=1)
    assert [problem.key for problem in caught.value.problems] == ["ttl_seconds", "tll"]


def test_origins_of_a_configuration_made_in_code() -> None:
    """Given values come from the constructor, all others are defaults."""
    origins = CacheConfig(ttl_seconds="1h").origins
    assert (origins["ttl_seconds"].kind, origins["mode"].kind) == ("constructor", "default")
    assert set(origins) == set(CacheConfig.model_fields)


def test_validation_by_pydantic_works_the_same_way() -> None:
    """A configuration nested in another model is parsed in the same way."""
    assert CacheConfig.model_validate({"ttl_seconds": "1h"}).ttl_seconds == 3600
    with pytest.raises(ValidationError, match="'soon' is not a duration"):
        CacheConfig.model_validate({"ttl_seconds": "soon"})


def test_the_error_for_an_assignment_shows_no_value() -> None:
    """The error names only the field, because the assigned value may be a key."""
    with pytest.raises(ValidationError) as caught:
        CacheConfig().encryption_keys = KEY  # type: ignore[misc,assignment]
    assert "frozen" in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_copy_with_an_update_is_checked() -> None:
    """``model_copy(update=…)`` behaves like ``with_``."""
    config = CacheConfig(ttl_seconds=60)
    assert config.policy("openai", "gpt-4o").ttl_seconds == 60
    assert config.model_copy(update={"ttl_seconds": "2m"}).policy("openai", "gpt-4o").ttl_seconds == 120
    with pytest.raises(ConfigError, match="not a duration"):
        config.model_copy(update={"ttl_seconds": "soon"})


def test_keys_may_be_bytes() -> None:
    """``Fernet.generate_key()`` returns bytes, which are accepted alone or in a list."""
    assert CacheConfig(encryption_keys=KEY.encode()).fernet_keys() == (KEY,)
    config = CacheConfig().with_(encryption_keys=[KEY.encode()])
    assert config.fernet_keys() == (KEY,)
    assert str(config.origins["encryption_keys"].value).startswith("key id ")
