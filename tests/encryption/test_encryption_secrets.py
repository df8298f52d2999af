"""Encryption keys are checked when they are loaded, derived once, and never shown."""

from __future__ import annotations

import copy
import hmac
import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from encryption_world import NEW, OLD, Parrot, ask, manager_of, put

from spark_cache import CacheConfig, ConfigError, load_config
from spark_cache.entries import keyring
from spark_cache.entries.keyring import KeyRing

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = "correct horse battery staple, and some"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PASSPHRASE, "passphrases are not accepted"),
        (NEW[:-1], "expected 44 characters, got 43"),
        (NEW.replace("A", "!"), "it is not URL-safe base64"),
        (f"{NEW},{OLD},{NEW}", "key 3 of 3 is the same as key 1"),
        (f"{NEW},{NEW[:-2]}J=", "key 2 of 2 is the same as key 1"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "code", "file"])
def test_an_invalid_key_is_refused_and_not_shown(given, message, source, tmp_path, monkeypatch):
    """A wrong length, invalid characters, a passphrase or a duplicate raises an error that names the place and not the key."""
    values = {}
    if source == "environment":
        monkeypatch.setenv("SPARK_CACHE_ENCRYPTION_KEY", given)
    elif source == "code":
        values["encryption_keys"] = given.split(",")
    else:
        values["encryption_key_file"] = tmp_path / "keys"
        values["encryption_key_file"].touch(mode=0o600)
        values["encryption_key_file"].write_text("\n".join(given.split(",")))
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(**values)
    text = "".join(traceback.format_exception(caught.value))
    assert not any(part in text for part in (*given.split(","), PASSPHRASE[:12]))


def test_a_variable_merged_with_its_key_is_not_shown(tmp_path: Path, caplog, recwarn):
    """A missing equals sign makes the key part of the name. The warning contains only the known part of the name."""
    (tmp_path / ".env").write_text(f"SPARK_CACHE_ENCRYPTION_KEY{NEW}\n")
    (tmp_path / "pyproject.toml").touch()
    load_config(environ={}, cwd=tmp_path)
    text = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert "did you mean SPARK_CACHE_ENCRYPTION_KEY?" in text
    assert NEW[:6] not in text


@pytest.mark.parametrize("level", ["all", "sensitive"])
def test_only_all_needs_a_key_at_load(level):
    """A missing key is an error if everything must be encrypted, but not if only sensitive requests are."""
    if level == "all":
        with pytest.raises(ConfigError, match="SPARK_CACHE_ENCRYPTION_KEY_FILE"):
            CacheConfig(encryption=level)
    else:
        assert CacheConfig(encryption=level).fernet_keys() == ()


def test_no_object_shows_its_keys(cache_dir, caplog):
    """No text form of a ring, a configuration or a manager, and no log line, contains a key."""
    caplog.set_level(logging.DEBUG)
    cache = manager_of(cache_dir, NEW, OLD)
    put(cache, "one")
    shown = [
        *(
            repr(each)
            for each in (
                cache,
                cache.config,
                cache._cache.ring,
                cache._cache.ring._keys,
                cache._entries,
            )
        ),
        *(str(each) for each in (cache.config, cache._cache.ring)),
        cache.config.model_dump_json(),
        repr(cache.config.origins),
        repr(cache.get_stats()),
        caplog.text,
    ]
    assert not any(key[:16] in text for key in (NEW, OLD) for text in shown)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
def test_a_ring_cannot_be_pickled_or_copied(copied):
    """A ring refuses to be pickled or deep-copied."""
    with pytest.raises(TypeError, match="holds encryption keys"):
        copied(KeyRing([NEW]))


async def test_the_traceback_of_a_failed_call_shows_no_key(cache_dir):
    """Even a traceback with the local variables of every frame contains no key."""
    config = CacheConfig(enabled=True, cache_dir=cache_dir, encryption="all", encryption_keys=NEW)
    model = Parrot("p", cache_config=config)
    with pytest.raises(RuntimeError) as caught:
        await model.get_text([{"role": "user", "content": "fail"}])
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "self = " in text
    assert NEW[:16] not in text


def test_a_ring_with_an_invalid_key_shows_no_key():
    """A ring that is created without the configuration also refuses invalid keys."""
    with pytest.raises(ValueError, match="base64") as caught:
        KeyRing([NEW, PASSPHRASE.ljust(44)])
    assert PASSPHRASE[:12] not in "".join(traceback.format_exception(caught.value))


def test_a_hit_derives_nothing(cache_dir, monkeypatch):
    """Names and IDs use keys that were derived when the configuration was loaded."""
    cache = manager_of(cache_dir, NEW, OLD)
    key = put(cache, "one")
    monkeypatch.setattr(keyring, "HKDF", None)
    assert cache.get(key) is not None
    assert cache.get(ask(cache, "two")) is None


@pytest.mark.parametrize("key", ["3f2a" * 16, "", "any text, ä, \ud800"])
def test_names_are_hmacs(key):
    """A name is the HMAC-SHA256 of the cache key, with 32 bytes that HKDF derives from the Fernet key."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"spark-cache entry name v1").derive(
        b"\x02" * 32
    )
    expected = hmac.digest(derived, key.encode("utf-8", "surrogatepass"), "sha256").hex()
    assert KeyRing([NEW, OLD]).names(key)[0] == expected
