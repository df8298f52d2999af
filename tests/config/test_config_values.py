"""The forms in which people write values."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.config import values


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
def test_lifetimes(written: object, seconds: float | None) -> None:
    """Seconds, units, their sums, and never."""
    assert values.lifetime(written) == seconds


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
    """Numbers of MB, units of 1024, and unlimited."""
    assert values.size(written) == megabytes


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on", " On ", True, 1])
def test_words_for_true(word: object) -> None:
    """Everything that means true."""
    assert values.boolean(word) is True


@pytest.mark.parametrize("word", ["false", "False", "0", "no", "off", False, 0])
def test_words_for_false(word: object) -> None:
    """Everything that means false."""
    assert values.boolean(word) is False


@pytest.mark.parametrize("written", ["24h", 86400, 86400.0, "86400.0"])
def test_an_integral_number_prints_as_people_write_it(written: object) -> None:
    """No ``86400.0`` in a report."""
    assert str(values.lifetime(written)) == "86400"


def test_lists_are_commas_or_arrays() -> None:
    """Both forms give the same words."""
    assert values.words("replay, refresh,") == values.words(["replay", "refresh"]) == ("replay", "refresh")


def test_a_path_expands_home_and_variables() -> None:
    """``~``, ``$NAME`` and ``${NAME}``."""
    environ = {"HOME": "/home/me", "APP": "shop"}
    expand = [values.expand_path(text, environ, Path.cwd) for text in ("~/x", "/a/$APP/y", "/a/${APP}s")]
    assert expand == [Path("/home/me/x"), Path("/a/shop/y"), Path("/a/shops")]


def test_a_path_object_is_taken_as_it_is() -> None:
    """A folder that really has a dollar in its name can be given in code."""
    assert values.path(Path("/a/$HOME")) == Path("/a/$HOME")


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back_equal(seconds: int) -> None:
    """What a report shows can be written into a profile."""
    assert values.lifetime(values.format_duration(seconds)) == seconds


@given(st.integers(1, 2**30) | st.floats(0.001, 2**29))
def test_a_formatted_size_reads_back_equal(megabytes: float) -> None:
    """What a report shows can be written into a profile."""
    assert values.size(values.format_size(megabytes)) == megabytes


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()) | st.booleans())
def test_a_parser_answers_or_says_what_is_accepted(raw: object) -> None:
    """Whatever is written, there is a value or a ``ValueError``, nothing else."""
    for parse in (values.boolean, values.duration, values.lifetime, values.size, values.text, values.words):
        try:
            parse(raw)
        except ValueError as error:
            message = str(error)
        else:
            continue
        assert "write " in message


def test_an_empty_variable_in_a_path_is_refused() -> None:
    """``$DATA/cache`` never becomes ``/cache``."""
    with pytest.raises(ValueError, match=r"^'\$DATA/cache' names the variable DATA, which is empty$"):
        values.expand_path("$DATA/cache", {"DATA": ""}, Path.cwd)


def test_the_home_of_nobody_is_refused() -> None:
    """A path that begins with an unknown user's name is no path."""
    with pytest.raises(ValueError, match=r"^'~no-such-user/x' names the home of a user that there is not$"):
        values.expand_path("~no-such-user/x", {}, Path.cwd)


def test_patterns_are_a_list_or_one() -> None:
    """Regular expressions come as an array, or one as text, in which a comma is part of it."""
    assert values.patterns(["a+", "b"]) == ("a+", "b")
    assert values.patterns("a{1,2}") == ("a{1,2}",)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["(", "b"], "'\\(' is not a regular expression of Python: missing \\)"),
        ([3], "\\[3\\] is not a list of patterns: write an array of text"),
        ([""], "is not a list of patterns"),
        (True, "true is not a list of patterns"),
    ],
)
def test_what_is_no_pattern_is_refused(written: object, message: str) -> None:
    """A pattern that cannot be compiled is an error of the configuration."""
    with pytest.raises(ValueError, match=message):
        values.patterns(written)
