"""Parsing and formatting values."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.config import paths, values


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("24h", 86400),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("1D", 86400),
        (" 60 ", 60),
        ("0", 0),
        ("1e3", 1000),
        (3600, 3600),
        (0.5, 0.5),
        (timedelta(minutes=2), 120),
        ("never", None),
        ("Never", None),
    ],
)
def test_ttls(written: object, seconds: float | None) -> None:
    """A TTL is a number of seconds, a sum of units, or never."""
    assert values.ttl(written) == seconds


@pytest.mark.parametrize(
    ("written", "megabytes"),
    [
        ("500MB", 500),
        ("2GB", 2048),
        ("1.5 GiB", 1536),
        ("512kb", 0.5),
        ("1TB", 1048576),
        ("1048576B", 1),
        (1000, 1000),
        ("1000", 1000),
        (0.5, 0.5),
        ("unlimited", None),
    ],
)
def test_sizes(written: object, megabytes: float | None) -> None:
    """A size is a number of MB, a value with a unit (powers of 1024), or unlimited."""
    assert values.size(written) == megabytes


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on", " On ", True, 1])
def test_words_for_true(word: object) -> None:
    """Every accepted form of true."""
    assert values.boolean(word) is True


@pytest.mark.parametrize("word", ["false", "False", "0", "no", "off", False, 0])
def test_words_for_false(word: object) -> None:
    """Every accepted form of false."""
    assert values.boolean(word) is False


@pytest.mark.parametrize("written", ["24h", 86400, 86400.0, "86400.0"])
def test_an_integral_number_prints_without_a_decimal_point(written: object) -> None:
    """A report never shows ``86400.0``."""
    assert str(values.ttl(written)) == "86400"


def test_lists_are_comma_separated_or_arrays() -> None:
    """Both forms give the same result."""
    assert values.words("replay, refresh,") == values.words(["replay", "refresh"]) == ("replay", "refresh")


def test_a_path_expands_home_and_variables() -> None:
    """``~``, ``$NAME`` and ``${NAME}`` are expanded."""
    environ = {"HOME": "/home/me", "APP": "shop"}
    expand = [paths.expand_path(text, environ, Path.cwd) for text in ("~/x", "/a/$APP/y", "/a/${APP}s")]
    assert expand == [Path("/home/me/x"), Path("/a/shop/y"), Path("/a/shops")]


def test_a_path_object_is_not_expanded() -> None:
    """Code can use a folder whose name contains a dollar sign."""
    assert paths.path(Path("/a/$HOME")) == Path("/a/$HOME")


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back_equal(seconds: int) -> None:
    """The formatted value can be used in a profile."""
    assert values.ttl(values.format_duration(seconds)) == seconds


@given(st.integers(1, 2**30) | st.floats(0.001, 2**29))
def test_a_formatted_size_reads_back_equal(megabytes: float) -> None:
    """The formatted value can be used in a profile."""
    assert values.size(values.format_size(megabytes)) == megabytes


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()) | st.booleans())
def test_a_parser_returns_a_value_or_states_what_is_accepted(raw: object) -> None:
    """Any input gives a value or a ``ValueError``, and no other exception."""
    for parse in (values.boolean, values.duration, values.ttl, values.size, values.text, values.words):
        try:
            parse(raw)
        except ValueError as error:
            message = str(error)
        else:
            continue
        assert ": use " in message


def test_an_empty_variable_in_a_path_is_rejected() -> None:
    """``$DATA/cache`` never becomes ``/cache``."""
    with pytest.raises(ValueError, match=r"^'\$DATA/cache' refers to the variable DATA, which is empty$"):
        paths.expand_path("$DATA/cache", {"DATA": ""}, Path.cwd)


def test_the_home_of_an_unknown_user_is_rejected() -> None:
    """``~NAME`` must name an existing user."""
    message = r"^'~no-such-user/x' refers to the home directory of an unknown user$"
    with pytest.raises(ValueError, match=message):
        paths.expand_path("~no-such-user/x", {}, Path.cwd)


def test_patterns_are_an_array_or_a_single_string() -> None:
    """A comma in a single string is part of the regular expression."""
    assert values.patterns(["a+", "b"]) == ("a+", "b")
    assert values.patterns("a{1,2}") == ("a{1,2}",)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["(", "b"], "'\\(' is not a valid Python regular expression: missing \\)"),
        ([3], "\\[3\\] is not a list of patterns: use an array of strings"),
        ([""], "is not a list of patterns"),
        (True, "true is not a list of patterns"),
    ],
)
def test_an_invalid_pattern_is_rejected(written: object, message: str) -> None:
    """A pattern that does not compile is a configuration error."""
    with pytest.raises(ValueError, match=message):
        values.patterns(written)
