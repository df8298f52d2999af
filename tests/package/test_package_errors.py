"""One exception tree, whose members say what they know and survive the way between processes."""

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
    ConfigError("ttl is no duration"),
    ConfigError(
        [Problem("no", "a.toml", 3, "cache.ttl"), Problem("neither", "environment", None, "SPARK_X")]
    ),
    UncacheableRequestError("parameters.metadata.fn", "is a function"),
    UncacheableResponseError("holds a tuple"),
    CacheMissError("absent", "openai", "gpt-4o", "ab" * 32, "nothing there"),
    CacheMissError("disabled", "openai", "gpt-4o"),
    StoreError("write", "ENOSPC (No space left on device)"),
]


@pytest.mark.parametrize("error", _ONE_OF_EACH, ids=repr)
@pytest.mark.parametrize(
    "travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy]
)
def test_errors_survive_pickling_and_copying(error, travel):
    """An error that came from another process says and knows what the original did."""
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
def test_every_error_has_two_parents(kind, standard):
    """An error is caught as one of this library's, and as the standard one that it is most like."""
    assert issubclass(kind, SparkCacheError)
    assert issubclass(kind, standard)


def test_the_tree_in_the_module_is_complete():
    """The tree drawn at the top of the module names every exception in it."""
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
    """A problem names its source, line and key, as far as it knows them."""
    assert str(problem) == text


def test_several_problems_come_at_once():
    """A configuration error lists everything that is wrong."""
    error = ConfigError([Problem("first"), Problem("second")])
    assert str(error) == "2 problems:\n  first\n  second"


def test_a_replay_miss_says_how_to_record():
    """The error of replay mode names the model, the reason and the way out, and cuts the key short."""
    text = str(CacheMissError("absent", "openai", "gpt-4o", "ab" * 32))
    assert "openai/gpt-4o" in text
    assert "absent" in text
    assert "SPARK_CACHE_MODE=read-write" in text
    assert "ab" * 6 + "…" in text
    assert "ab" * 7 not in text


@pytest.mark.parametrize(
    ("reason", "way_out"),
    [
        ("disabled", "SPARK_ENABLE_CACHE=true"),
        ("sensitive", "SPARK_CACHE_ENCRYPTION_KEY"),
        ("uncacheable", "never recorded"),
    ],
)
def test_a_replay_miss_that_recording_does_not_help_against(reason, way_out):
    """The error of replay mode advises what helps against its reason."""
    text = str(CacheMissError(reason, "openai", "gpt-4o"))
    assert way_out in text
    assert "SPARK_CACHE_MODE" not in text
