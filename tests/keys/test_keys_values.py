"""Python values that have the same meaning in a request."""

from __future__ import annotations

from collections import OrderedDict, UserString, defaultdict, namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PureWindowsPath
from typing import Any

import pydantic
import pytest

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import cache_key


class _Text(str):
    __slots__ = ("note",)


class _Whole(int):
    pass


class _Model(StrEnum):
    LARGE = "gpt-4o"


class _MixedModel(str, Enum):  # noqa: UP042 - the older form, whose members have a different str()
    LARGE = "gpt-4o"


class _Level(IntEnum):
    HIGH = 2


class _Moment(datetime):
    nanosecond = 0

    def isoformat(self, *_args, **_kwargs):
        return f"{super().isoformat()}+{self.nanosecond}ns"


class _City(pydantic.BaseModel):
    """A city."""

    model_config = pydantic.ConfigDict(populate_by_name=True)

    name: str = pydantic.Field(alias="cityName")
    country: str | None = None


@dataclass
class _Point:
    x: int
    y: int


_Pair = namedtuple("_Pair", "a b")  # noqa: PYI024 - untyped named tuples are in use too


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (_Text("a"), "a"),
        (_Whole(3), 3),
        (_Model.LARGE, "gpt-4o"),
        (_MixedModel.LARGE, "gpt-4o"),
        (_Level.HIGH, 2),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        ({_Text("a"): 1}, {"a": 1}),
        (_Pair(1, 2), [1, 2]),
        (_Point(1, 2), {"x": 1, "y": 2}),
        (_City(name="Paris"), {"cityName": "Paris"}),
        (_City(name="Paris", country=None), {"cityName": "Paris", "country": None}),
        (_City, _City.model_json_schema()),
        (PureWindowsPath("a\\b"), Path("a/b")),
        (-0.0, 0),
        (2.0**53, 2**53),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_with_the_same_meaning_have_the_same_key(ask, value, same_as):
    """A value has the same key as its plain equivalent."""
    assert cache_key(ask(tool_choice=value)) == cache_key(ask(tool_choice=same_as))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (True, 1),
        (1, "1"),
        (True, "true"),
        (0, False),
        ("", b""),
        ([], {}),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1)),  # noqa: DTZ001 - a datetime without a time zone is a valid value
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001 - the same
        (2.0**53 + 2, 2**53 + 2),
        ("caf\u00e9", "cafe\u0301"),
        (["a", "b"], ["b", "a"]),
        ({"a": None}, {}),
        (Path("a"), "a"),
    ],
    ids=repr,
)
def test_values_with_different_meanings_have_different_keys(ask, left, right):
    """Values that a provider can distinguish have different keys."""
    assert cache_key(ask(tool_choice=left)) != cache_key(ask(tool_choice=right))


def test_a_subclass_with_more_precision_uses_its_own_method(ask):
    """Two datetimes that differ only in what their subclass adds have different keys."""
    first, second = _Moment(2026, 1, 1), _Moment(2026, 1, 1)
    second.nanosecond = 7
    assert cache_key(ask(tool_choice=first)) != cache_key(ask(tool_choice=second))


def test_an_imitation_of_str_is_refused(ask):
    """A class that imitates str without being a subclass of it is refused."""
    with pytest.raises(UncacheableRequestError):
        cache_key(ask(tool_choice=UserString("a")))


@pytest.mark.parametrize("member", [_Model.LARGE, _MixedModel.LARGE])
def test_a_key_has_plain_strings_as_names(ask, member):
    """A model given as a member of an enumeration has the key and the name of its string value."""
    key = cache_key(ask(model_id=member))
    assert key == cache_key(ask(model_id="gpt-4o"))
    assert type(key.model_id) is str


def test_long_text_is_keyed_by_its_content(ask):
    """Two equal long strings have the same key, and one changed character gives a different key."""
    size = 20_000
    texts: list[Any] = ["x" * size, "".join(["x"] * size), "x" * (size - 1) + "y"]
    first, second, third = (cache_key(ask(system_prompt=text)) for text in texts)
    assert first == second != third


def test_long_text_and_equal_bytes_differ(ask):
    """A long string and its encoded bytes have different keys."""
    assert cache_key(ask(tool_choice="x" * 20_000)) != cache_key(ask(tool_choice=b"x" * 20_000))


def test_digests_identify_the_changed_part(ask):
    """Two requests that differ in one part differ only in the digest of that part."""
    left, right = cache_key(ask()).digests, cache_key(ask(system_prompt="Be brief.")).digests
    assert {name for name in {*left, *right} if left.get(name) != right.get(name)} == {"system_prompt"}
