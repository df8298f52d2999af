"""The snapshot of a request: plain values that nobody else holds."""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from spark_cache.providers.dialect import Dialect, plain_arguments
from spark_cache.providers.snapshot import Rules, snapshot
from spark_cache.types import Base64Text

if TYPE_CHECKING:
    from pathlib import Path

RULES = Rules(read=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Colour(StrEnum):
    """An enumeration of strings."""

    RED = "red"


class Size(Enum):
    """An enumeration of other values."""

    LARGE = ("l",)


class Loud(str):
    """A string that pretends to be another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other"


class Message(BaseModel):
    """A pydantic model with an alias and defaults."""

    role: str = "user"
    text: str = Field(alias="content")
    unset: int = 1


@dataclass
class Point:
    """A dataclass."""

    x: int
    tags: list[str]


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: list[int]


FORMS: list[tuple[Any, Any]] = [
    ((1, [2]), [1, [2]]),
    (iter([1, 2]), [1, 2]),
    ((number for number in (1, 2)), [1, 2]),
    ({"a": (item for item in "xy")}, {"a": ["x", "y"]}),
    (OrderedDict(a=(1,)), {"a": [1]}),
    (MappingProxyType({"a": {"b": (1,)}}), {"a": {"b": [1]}}),
    (Pair(1, [2]), [1, [2]]),
    (Colour.RED, "red"),
    (Size.LARGE, ["l"]),
    (Loud("text"), "text"),
    ({Loud("name"): 1}, {"name": 1}),
    (bytearray(b"x"), b"x"),
    (memoryview(b"x"), b"x"),
    (Message(content="hi"), {"content": "hi"}),
    ([Message(content="hi", role="system")], [{"role": "system", "content": "hi"}]),
    (Message, Message.model_json_schema()),
    (Point(1, ["a"]), {"x": 1, "tags": ["a"]}),
    (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(3, 4), "03:04:00"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
]


@pytest.mark.parametrize(("value", "plain"), FORMS)
def test_known_forms_become_plain_values(value: Any, plain: Any) -> None:
    """The result has the types of JSON, and bytes."""
    result = snapshot(value, RULES)
    assert (result, type(result)) == (plain, type(plain))


@pytest.mark.parametrize(
    "value", [datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2), time(3, 4), UUID(int=1)]
)
def test_dates_that_are_not_sent_as_text_are_kept(value: Any) -> None:
    """A provider that the library does not know gets them as they are."""
    (kept,) = snapshot([value], Rules(dates_as_text=False))
    assert kept is value


def test_bytes_in_the_form_of_a_provider() -> None:
    """All kinds of bytes become what the provider's rules make of them, and are not copied."""
    data = b"x" * 100
    for value in (data, bytearray(data), memoryview(data)):
        encoded = snapshot({"data": value}, Rules(encode=Base64Text))["data"]
        assert (type(encoded), encoded.data) == (Base64Text, data)
    assert snapshot(data, Rules(encode=Base64Text)).data is data


@given(json_values)
def test_plain_values_stay_equal_and_are_not_shared(value: Any) -> None:
    """Every container is new, every string the same object."""
    result = snapshot(value, RULES)
    assert result == value
    containers = [(value, result)]
    while containers:
        old, new = containers.pop()
        if isinstance(old, dict | list):
            assert old is not new
            items = old.items() if isinstance(old, dict) else enumerate(old)
            containers += [(item, new[key]) for key, item in items]
        else:
            assert old is new


def test_values_without_a_known_form_are_kept() -> None:
    """The SDK decides whether it can send them."""

    def function() -> None: ...

    class Unserialisable(BaseModel):
        value: Any

    marker = object()
    model = Unserialisable(value=marker)
    assert snapshot([function, marker, Point, model], RULES) == [function, marker, Point, model]


def test_a_value_that_contains_itself_is_kept() -> None:
    """It has no key, and the SDK refuses it. One that contains itself twice does not grow without end."""
    circle: list[Any] = []
    circle += [circle, circle]
    assert snapshot(circle, RULES) is circle
    ring: dict[str, Any] = {}
    ring |= {"one": ring, "other": [ring]}
    given = {"messages": [ring]}
    assert snapshot(given, RULES) is given


def test_files_become_their_bytes(tmp_path: Path) -> None:
    """A path or an open file is read once, in the form of the provider, unless the rules keep it."""
    path = tmp_path / "picture"
    path.write_bytes(b"first")
    assert snapshot({"bytes": path}, RULES) == {"bytes": b"first"}
    assert snapshot({"bytes": path}, Rules(encode=Base64Text, read=True))["bytes"].data == b"first"
    assert snapshot({"path": path}, Rules(read=False)) == {"path": path}
    assert snapshot([io.BytesIO(b"a"), io.StringIO("b")], RULES) == [b"a", b"b"]
    with pytest.raises(FileNotFoundError):
        snapshot(tmp_path / "missing", RULES)


def test_files_are_read_only_where_they_are_content(tmp_path: Path) -> None:
    """A path in a message is a file to read. A path anywhere else is not."""
    path = tmp_path / "picture"
    path.write_bytes(b"first")
    arguments = plain_arguments(
        Dialect(), "m", [{"content": path}], None, None, None, None, "text", {"folder": path}
    )
    assert arguments.messages == [{"content": b"first"}]
    assert arguments.parameters == {"folder": path}
