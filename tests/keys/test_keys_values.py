"""Python values that have the same meaning in a request."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict, UserString, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PureWindowsPath
from typing import Any
from uuid import UUID

import pydantic
import pytest

from spark_cache.errors import UncacheableRequestError
from spark_cache.keys import cache_key
from spark_cache.types import Base64Text

KNOWN = ["anthropic", "bedrock", "gemini", "openai"]


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


class _Colour(Enum):
    RED = "red"


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


@pytest.mark.parametrize("provider", ["service", "openai"])
@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (_Text("a"), "a"),
        (_Whole(3), 3),
        (_Model.LARGE, "gpt-4o"),
        (_MixedModel.LARGE, "gpt-4o"),
        (_Level.HIGH, 2),
        (_Colour.RED, "red"),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        ({_Text("a"): 1}, {"a": 1}),
        ({_Model.LARGE: 1}, {"gpt-4o": 1}),
        (_Pair(1, 2), [1, 2]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (_Point(1, 2), {"x": 1, "y": 2}),
        (_City(name="Paris"), {"cityName": "Paris"}),
        (_City(name="Paris", country=None), {"cityName": "Paris", "country": None}),
        (_City, _City.model_json_schema()),
        (PureWindowsPath("a\\b"), Path("a/b")),
        (-0.0, 0),
        (2.0**53, 2**53),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_values_with_the_same_meaning_have_the_same_key(ask, provider, value, same_as):
    """A value has the same key as its plain equivalent."""
    one, other = (cache_key(ask(provider, parameters={"x": each})) for each in (value, same_as))
    assert one == other


def test_an_iterator_is_a_list(ask):
    """An iterator has the same key as the list of its items."""
    assert cache_key(ask(parameters={"stop": (word for word in "ab")})) == cache_key(
        ask(parameters={"stop": ["a", "b"]})
    )


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
    one, other = (cache_key(ask("service", parameters={"x": each})) for each in (left, right))
    assert one != other


@pytest.mark.parametrize("provider", KNOWN)
@pytest.mark.parametrize(
    "value",
    [
        date(2026, 1, 1),
        time(23, 59),
        datetime(2026, 1, 1, tzinfo=UTC),
        UUID(int=7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_known_provider_gets_dates_as_text(ask, provider, value):
    """A date, a time or a UUID has the key of the text that a known provider is sent. Other providers get the value itself."""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    assert cache_key(ask(provider, parameters={"x": value})) == cache_key(
        ask(provider, parameters={"x": text})
    )
    assert cache_key(ask("service", parameters={"x": value})) != cache_key(
        ask("service", parameters={"x": text})
    )


@pytest.mark.parametrize("size", [3, 20_000])
@pytest.mark.parametrize(("provider", "encode"), [("bedrock", b64encode), ("gemini", urlsafe_b64encode)])
def test_encoded_bytes_are_their_text(ask, provider, encode, size):
    """Bytes for Bedrock and Gemini have the key of the Base64 text that is sent."""
    data = b"\xff" * size
    one, other = (cache_key(ask(provider, parameters={"x": each})) for each in (data, encode(data).decode()))
    assert one == other != cache_key(ask(provider, parameters={"x": data + b"\xff"}))


def test_an_image_is_its_data_url(ask):
    """An image in our form has the key of the same image as a data URL in the form of OpenAI."""
    data = b"\x89PNG" * 10_000
    image = {"image": {"format": "png", "source": {"bytes": data}}}
    url = f"data:image/png;base64,{b64encode(data).decode()}"
    ours, theirs = (
        cache_key(ask(messages=[{"role": "user", "content": [block]}]))
        for block in (image, {"type": "image_url", "image_url": {"url": url}})
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "other",
    [Base64Text(b"\xff\xfe"), Base64Text(b"\xff\xff", "data:"), Base64Text(b"\xff\xff", urlsafe=True)],
    ids=["bytes", "prefix", "alphabet"],
)
@pytest.mark.parametrize("times", [1, 10_000])
def test_base64_texts_that_differ(sent, times, other):
    """Base64 texts with other bytes, another prefix or another alphabet have different keys."""
    longer = Base64Text(other.data * times, other.prefix, urlsafe=other.urlsafe)
    assert cache_key(sent(x=longer)) != cache_key(sent(x=Base64Text(b"\xff\xff" * times)))


@pytest.mark.parametrize("provider", ["service", "openai"])
def test_a_subclass_with_more_precision_uses_its_own_method(ask, provider):
    """Two datetimes that differ only in what their subclass adds have different keys."""
    first, second = _Moment(2026, 1, 1), _Moment(2026, 1, 1)
    second.nanosecond = 7
    one, other = (cache_key(ask(provider, parameters={"x": each})) for each in (first, second))
    assert one != other


@pytest.mark.parametrize("provider", ["service", "openai"])
def test_an_imitation_of_str_is_refused(ask, provider):
    """A class that imitates str without being a subclass of it is refused."""
    with pytest.raises(UncacheableRequestError):
        cache_key(ask(provider, parameters={"x": UserString("a")}))


@pytest.mark.parametrize("member", [_Model.LARGE, _MixedModel.LARGE])
def test_a_key_has_plain_strings_as_names(sent, member):
    """A model given as a member of an enumeration has the key and the name of its string value."""
    key = cache_key(sent(model_id=member))
    assert key == cache_key(sent(model_id="gpt-4o"))
    assert type(key.model_id) is str


def test_an_embedded_text_is_a_plain_string(ask):
    """A text to embed has the key of the plain string, and a list of one text that of the text."""
    keys = {
        cache_key(ask(model_id="m", operation="embedding", messages=given))
        for given in ("Hello", _Text("Hello"), ["Hello"], ("Hello",))
    }
    assert len(keys) == 1


@pytest.mark.parametrize("name", ["user", "system"])
def test_long_text_is_keyed_by_its_content(sent, name):
    """Two equal long strings have the same key, and one changed character gives a different key."""
    size = 20_000
    texts: list[Any] = ["x" * size, "".join(["x"] * size), "x" * (size - 1) + "y"]
    first, second, third = (cache_key(sent(**{name: text})) for text in texts)
    assert first == second != third


def test_long_text_and_equal_bytes_differ(sent):
    """A long string and its encoded bytes have different keys."""
    assert cache_key(sent(x="x" * 20_000)) != cache_key(sent(x=b"x" * 20_000))


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"system": "Be brief."}, ["body.system"]),
        ({"temperature": 1, "seed": None}, ["body.temperature"]),
        ({"messages": []}, ["body.messages"]),
        ({"headers": {"x-tenant": "blue"}, "query": {"a": "1"}}, ["headers", "query"]),
        ({"sample": 0, "endpoint": "http://localhost"}, ["endpoint", "sample"]),
        (
            {"provider": "service", "model_id": "m", "operation": "json"},
            ["model_id", "operation", "provider"],
        ),
    ],
    ids=repr,
)
def test_digests_identify_the_changed_parts(sent, fields, changed):
    """Two requests differ only in the digests of the parts that differ."""
    left, right = cache_key(sent()).digests, cache_key(sent(**fields)).digests
    assert sorted(name for name in {*left, *right} if left.get(name) != right.get(name)) == changed


def test_digests_cover_settings_and_version(sent):
    """The settings and the version of the form have digests too."""
    key = cache_key(sent(), namespace="blue", cache_version="2")
    assert {*key.digests} - {*cache_key(sent()).digests} == {"namespace", "cache_version"}
    assert "version" in key.digests


def test_equal_parts_have_equal_digests(sent):
    """A part that is written in another way has the same digest."""
    blocks = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert cache_key(sent(messages=blocks, seed=1.0)).digests == cache_key(sent(seed=1)).digests
