"""The exception tree: attributes, messages and pickling."""

from __future__ import annotations

import copy
import pickle

import pytest

from spark_cache import errors
from spark_cache.errors import (
    CacheMissError,
    ConfigError,
    Problem,
    SparkCacheError,
    StoreError,
    UncacheableRequestError,
    UncacheableResponseError,
)

_ONE_OF_EACH = [
    ConfigError("ttl is not a duration"),
    ConfigError(
        [Problem("no", "a.toml", 3, "cache.ttl"), Problem("neither", "environment", None, "SPARK_X")]
    ),
    UncacheableRequestError("parameters.metadata.fn", "type function cannot be part of a cache key"),
    UncacheableResponseError("the response contains a tuple"),
    CacheMissError("absent", "openai", "gpt-4o", "ab" * 32, "no entry"),
    CacheMissError("disabled", "openai", "gpt-4o"),
    StoreError("write", "ENOSPC (No space left on device)"),
]


@pytest.mark.parametrize("error", _ONE_OF_EACH, ids=repr)
@pytest.mark.parametrize(
    "travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]
)
def test_errors_survive_pickling_and_copying(error, travel):
    """A copy of an error has the message and the attributes of the original."""
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


@pytest.mark.parametrize(
    ("kind", "standard"),
    [
        (ConfigError, ValueError),
        (UncacheableRequestError, TypeError),
        (UncacheableResponseError, TypeError),
        (CacheMissError, LookupError),
        (StoreError, Exception),
    ],
)
def test_every_error_has_two_base_classes(kind, standard):
    """An error can be caught as an error of this library and as the closest built-in exception."""
    assert issubclass(kind, SparkCacheError)
    assert issubclass(kind, standard)


def test_the_tree_in_the_module_is_complete():
    """The tree in the docstring of the module contains every exception."""
    named = [
        name
        for name in errors.__all__
        if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), Exception)
    ]
    assert [name for name in named if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("no"), "no"),
        (Problem("no", "a.toml"), "a.toml: no"),
        (Problem("no", "a.toml", 3), "a.toml:3: no"),
        (Problem("no", "a.toml", 3, "cache.ttl"), "a.toml:3: cache.ttl: no"),
        (Problem("no", None, None, "SPARK_CACHE_TTL"), "SPARK_CACHE_TTL: no"),
    ],
)
def test_a_problem_is_one_line(problem, text):
    """A problem shows its source, line and key, if known."""
    assert str(problem) == text


def test_several_problems_are_listed():
    """A configuration error lists all its problems."""
    error = ConfigError([Problem("first"), Problem("second")])
    assert str(error) == "2 problems:\n  first\n  second"


def test_a_replay_miss_says_how_to_record():
    """The error of replay mode contains the model, the reason, a remedy and a shortened key."""
    text = str(CacheMissError("absent", "openai", "gpt-4o", "ab" * 32))
    assert "openai/gpt-4o" in text
    assert "absent" in text
    assert "SPARK_CACHE_MODE=read-write" in text
    assert "ab" * 6 + "…" in text
    assert "ab" * 7 not in text


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("disabled", "SPARK_ENABLE_CACHE=true"),
        ("sensitive", "SPARK_CACHE_ENCRYPTION_KEY"),
        ("uncacheable", "never recorded"),
    ],
)
def test_a_replay_miss_that_recording_does_not_fix(reason, remedy):
    """The error of replay mode suggests a remedy for its reason."""
    text = str(CacheMissError(reason, "openai", "gpt-4o"))
    assert remedy in text
    assert "SPARK_CACHE_MODE" not in text
