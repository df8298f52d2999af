"""A flipped bit or an edit in a plain entry is a miss, and a file in another form still answers."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models_world import EchoModel

from spark_cache import CacheConfig, CacheManager
from spark_cache.entries import CacheEntry, accept_edit, decode, encode, read_plain
from spark_cache.types import MissReason

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "3f2a" * 16
TEXT = "The capital of France is Paris. " * 3
USAGE = {"input_tokens": 15, "output_tokens": 8, "total_tokens": 23}
SMALL = {"content": "Paris.", "stop_reason": "end_turn", "usage": USAGE, "latency_seconds": 0.531}

RESPONSES: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "tool calls": {
        **SMALL,
        "content": "",
        "stop_reason": "tool_use",
        "provider_stop_reason": "tool_calls",
        "tool_calls": [{"id": "call_1", "name": "f", "arguments": '{"city": "Paris"}'}],
    },
    "texts": {**SMALL, "content": TEXT, "raw": {"id": "x", "choices": [{"message": {"content": TEXT}}]}},
    "events": {**SMALL, "events": [[0.5, {"text": "Paris"}], [1.0, {"done": True, "logprob": -0.25}]]},
    "other fields": {"content": "Paris.", "note": {"checksum": "mine", "b": [True, None, 2**63, "Zürich"]}},
}

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "checksum", "content"]), inner, max_size=3)
    ),
    max_leaves=10,
)
_responses = st.dictionaries(
    st.sampled_from(["content", "usage", "raw", "events", "tool_calls", "note", "checksum"]), _json
)


def flips(data: bytes) -> Iterator[bytes]:
    """Yield a file with each of its bits flipped."""
    for at, bit in product(range(len(data)), range(8)):
        yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def reformatted(data: bytes) -> dict[str, bytes]:
    """Return an entry as other programs write it."""
    document = json.loads(data)
    return {
        "four spaces": json.dumps(document, indent=4).encode(),
        "sorted": json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode(),
        "compact": json.dumps(document, separators=(",", ":")).encode(),
        "CRLF": data.replace(b"\n", b"\r\n"),
        "CRLF, sorted": json.dumps(document, indent=2, sort_keys=True).replace("\n", "\r\n").encode(),
        "without a final line break": data.rstrip(),
        "in another order": orjson.dumps(dict(reversed(document.items()))),
        "whole floats as integers": orjson.dumps(_like_javascript(document)),
    }


def _like_javascript(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _like_javascript(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_like_javascript(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


@pytest.fixture
def stored(tmp_path):
    """Return a function that stores a response and returns the manager, the key and the path of the entry."""

    def store(response: dict[str, Any], **values: Any):
        config = CacheConfig(enabled=True, cache_dir=tmp_path / "cache", allow_plaintext=True, **values)
        manager = CacheManager(config)
        key = manager.generate_cache_key("openai", "gpt-4o", "What is the capital of France?")
        assert manager.set(key, "openai", "gpt-4o", {"question": "capital"}, response)
        (path,) = manager.cache_dir.glob("*/*/*.json")
        return manager, key, path

    return store


@pytest.mark.parametrize("sort_keys", [False, True])
@pytest.mark.parametrize("name", RESPONSES)
def test_no_flipped_bit_changes_a_response(entry_of, name, sort_keys):
    """Flipping any bit of a file gives the stored response or a miss, in either layout."""
    response = RESPONSES[name]
    data = encode(entry_of(response, request={"text": "Hi"}), sort_keys=sort_keys)
    found = [read_plain(flipped, KEY, None) for flipped in flips(data)]
    wrong = [answer for answer in found if isinstance(answer, tuple) and answer[0] != response]
    assert wrong == []
    # Most bits of the fields around the response do not count.
    assert sum(isinstance(answer, tuple) for answer in found) > 500


@pytest.mark.parametrize(("name", "committed"), [("small", False), ("texts", True)])
def test_no_flipped_bit_changes_what_get_returns(stored, name, committed):
    """``get`` returns the stored response or a miss, whatever bit of the file is flipped."""
    manager, key, path = stored(RESPONSES[name], commit_entries=committed, mode="read-write")
    reader = CacheManager(manager.config.with_(mode="read-only"))
    found = []
    for flipped in flips(path.read_bytes()):
        path.write_bytes(flipped)
        found.append(reader.get(key))
    assert [answer for answer in found if answer not in (None, RESPONSES[name])] == []
    assert None in found


async def test_no_flipped_bit_changes_what_a_model_returns(tmp_path):
    """A model returns the stored response, or asks its provider, whatever bit of the file is flipped."""
    config = CacheConfig(enabled=True, cache_dir=tmp_path, allow_plaintext=True, store_requests=False)
    question = [{"role": "user", "content": "Paris?"}]
    expected = await EchoModel("echo-1", cache_config=config).get_text(question)
    (path,) = tmp_path.glob("echo/*/*.json")
    model = EchoModel("echo-1", cache_config=config.with_(mode="read-only"))
    intact, hits = path.read_bytes(), 0
    for flipped in flips(intact):
        path.write_bytes(flipped)
        answer = await model.get_text(question)
        assert (answer, answer.raw) == (expected, expected.raw)
        hits += answer.cached
    assert hits + model.calls == 8 * len(intact)
    assert hits > 500
    assert model.calls > 500


@pytest.mark.parametrize("name", RESPONSES)
def test_a_reformatted_file_still_answers(entry_of, name):
    """Indentation, order, escapes, line endings and the way to write a number do not count."""
    response = RESPONSES[name]
    for sort_keys in (False, True):
        data = encode(entry_of(response), sort_keys=sort_keys)
        for form, written in reformatted(data).items():
            assert written != data or form == "sorted", form
            answer = read_plain(written, KEY, None)
            assert isinstance(answer, tuple), form
            assert answer[0] == response, form
            assert accept_edit(written) is None, form


@pytest.mark.parametrize(
    "edit",
    [
        {"content": "Lyon."},
        {"stop_reason": "max_tokens"},
        {"usage": None},
        {"usage": {**USAGE, "total_tokens": 24}},
        {"latency_seconds": 0.5},
        {"tool_calls": []},
        {"raw": {}},
        {"events": []},
        {"response": {"note": "mine"}},
        {"absent": ["usage"]},
        {"texts": {"usage.total_tokens": "content"}},
        {"checksum": "00000000-00000000"},
        {"checksum": ""},
        {"checksum": 5},
        {"checksum": True},
    ],
    ids=str,
)
def test_an_edited_response_is_corrupt(entry_of, edit):
    """A change of anything that the response is made of, or of the checksum, is a miss."""
    document = json.loads(encode(entry_of(SMALL)))
    data = orjson.dumps({**document, **edit})
    assert read_plain(data, KEY, None) is decode(data) is MissReason.CORRUPT


@pytest.mark.parametrize(
    "edit",
    [{"timestamp": 1.0}, {"ttl": None}, {"profile": None}, {"digests": {}}, {"request": {}}, {"note": "x"}],
    ids=str,
)
def test_other_fields_may_be_edited(entry_of, edit):
    """The checksum covers the response alone."""
    document = json.loads(encode(entry_of(SMALL)))
    answer = read_plain(orjson.dumps({**document, **edit}), KEY, None)
    assert isinstance(answer, tuple)
    assert answer[0] == SMALL


@pytest.mark.parametrize("without", [{}, {"checksum": None}])
def test_an_entry_without_a_checksum_is_read(entry_of, without):
    """An entry that was written by hand, or by an earlier version, has no checksum and is read."""
    document = json.loads(encode(entry_of(SMALL)))
    del document["checksum"]
    data = orjson.dumps({**document, **without, "content": "By hand."})
    entry = decode(data, KEY)
    assert isinstance(entry, CacheEntry)
    assert entry.response == {**SMALL, "content": "By hand."}
    assert accept_edit(data) is None


@settings(deadline=None, max_examples=200)
@given(response=_responses, other=_responses, sort_keys=st.booleans())
def test_any_response_has_a_checksum_that_no_other_has(entry_of, response, other, sort_keys):
    """Any response comes back from the file and from every other form of it, and another one under its checksum does not."""
    entry = entry_of(response)
    data = encode(entry, sort_keys=sort_keys)
    assert decode(data, KEY) == entry
    for form, written in reformatted(data).items():
        assert decode(written, KEY) == entry, form
    forged = {**json.loads(encode(entry_of(other))), "checksum": json.loads(data)["checksum"]}
    expected = entry_of(other) if _exactly(other) == _exactly(response) else MissReason.CORRUPT
    assert decode(orjson.dumps(forged), KEY) == expected


def _exactly(value: Any) -> str:
    return json.dumps(_like_javascript(value), sort_keys=True)


@settings(deadline=None, max_examples=200)
@given(response=_responses, other=_responses, form=st.sampled_from(["as written", *reformatted(b"{}")]))
def test_an_accepted_edit_changes_the_checksum_alone(entry_of, response, other, form):
    """An accepted edit is an entry with the new response, and only its checksum differs from the edited file."""
    first, second = (json.loads(encode(entry_of(each))) for each in (response, other))
    edited = orjson.dumps({**second, "checksum": first["checksum"]}, option=orjson.OPT_INDENT_2) + b"\n"
    edited = {"as written": edited, **reformatted(edited)}[form]
    accepted = accept_edit(edited)
    if accepted is None:
        assert _exactly(response) == _exactly(other)
        return
    assert decode(accepted, KEY) == entry_of(other)
    assert len(accepted) == len(edited)
    kept = {name: value for name, value in json.loads(edited).items() if name != "checksum"}
    assert {name: value for name, value in json.loads(accepted).items() if name != "checksum"} == kept
    assert accept_edit(accepted) is None


def test_an_edit_that_is_also_damaged_is_not_accepted(entry_of):
    """An edit is accepted only if everything else in the entry is valid."""
    document = json.loads(encode(entry_of(SMALL)))
    for damage in ({"ttl": "long"}, {"texts": {"raw.x": "content"}}, {"absent": 5}, {"schema": 9}):
        assert accept_edit(orjson.dumps({**document, "content": "Lyon.", **damage})) is None
