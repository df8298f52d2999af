"""Properties that hold for every request."""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from itertools import combinations
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from keys_meaning import (
    EMPTY_IS_ABSENT,
    TEXT_BLOCKS,
    leaves,
    meaning,
    meaning_of_request,
    names,
    requests,
    similar_bodies,
    texts,
    values,
)

from spark_cache.keys import cache_key
from spark_cache.keys.canonical import canonical_bytes
from spark_cache.keys.memo import digest_of
from spark_cache.providers.snapshot import Rules, snapshot
from spark_cache.types import Base64Text, Request

_settings = settings(deadline=None, max_examples=100)
_often = settings(deadline=None, max_examples=300)

_conversing = requests.filter(
    lambda request: request.provider != "gemini" and request.operation != "embedding"
)
_embedding = requests.map(lambda request: request._replace(operation="embedding"))


def _canonical(value: Any, *, exact: bool = False) -> bytes:
    return canonical_bytes(value, "value", digest_of, exact=exact)


def _with(request: Request, **fields: Any) -> Request:
    """Return a request with other fields in its body."""
    return request._replace(body={**request.body, **fields})


def _with_all(value: Any, change: Any) -> Any:
    """Apply ``change`` to every container in a value, from the inside out."""
    if isinstance(value, dict):
        return change({name: _with_all(item, change) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return change([_with_all(item, change) for item in value])
    return value


# -- equivalences -------------------------------------------------------------------------------------------


@_settings
@given(requests)
def test_order_of_names_does_not_matter(request):
    """A request whose dictionaries have a different order has the same key."""

    def turned(part: Any) -> Any:
        return _with_all(part, lambda inner: dict(reversed(inner.items())) if type(inner) is dict else inner)

    assert cache_key(Request(*map(turned, request))) == cache_key(request)


@_settings
@given(requests)
def test_tuples_are_lists(request):
    """A body with tuples instead of lists has the same key, because a call makes its values plain."""
    tuples = _with_all(request.body, lambda inner: tuple(inner) if type(inner) is list else inner)
    rules = Rules(dates_as_text=False)
    assert cache_key(request._replace(body=snapshot(tuples, rules))) == cache_key(request)


@_settings
@given(requests, st.sets(st.sampled_from(["top_p", "user", "logit_bias"])))
def test_fields_that_are_none_are_absent(request, fields):
    """A field of the body that is None equals an absent one."""
    assert cache_key(_with(request, **dict.fromkeys(fields))) == cache_key(request)


@_settings
@given(requests, st.dictionaries(st.sampled_from(["stream", "stream_options"]), values))
def test_how_a_response_is_sent_does_not_matter(request, fields):
    """A request for a stream has the key of the request for a whole response."""
    assert cache_key(_with(request, **fields)) == cache_key(request)


@_settings
@given(requests, st.sampled_from(EMPTY_IS_ABSENT), st.sampled_from([[], {}]))
def test_empty_settings_are_absent(request, name, empty):
    """Some fields mean nothing if they are empty."""
    assert cache_key(_with(request, **{name: empty})) == cache_key(_with(request, **{name: None}))


@_settings
@given(requests, st.integers(-(2**53), 2**53), st.sampled_from(["temperature", "seed", "n"]))
def test_whole_floats_are_integers(request, number, name):
    """A float among the parameters equals the integer, within the range of exact floats."""
    assert cache_key(_with(request, **{name: float(number)})) == cache_key(_with(request, **{name: number}))


@_settings
@given(requests, st.binary(max_size=20) | st.binary(min_size=12_285, max_size=12_291), texts)
def test_encoded_bytes_are_their_text(request, data, prefix):
    """Bytes that are sent as Base64 equal their text, whether it is short or keyed by its digest."""
    text = prefix + b64encode(data).decode()
    assert cache_key(_with(request, x=Base64Text(data, prefix))) == cache_key(_with(request, x=text))


@_settings
@given(_conversing, texts, st.sampled_from(["input", "messages"]), st.sampled_from([None, *TEXT_BLOCKS]))
def test_one_block_of_text_is_the_text(request, text, name, kind):
    """A message whose content is one block of text equals one with the text."""
    block = {"text": text} if kind is None else {"type": kind, "text": text}
    turns = [{"role": "user", "content": content} for content in (text, [block])]
    keys = {cache_key(_with(request, **{name: [turn]})) for turn in turns}
    keys |= {cache_key(_with(request, **{name: [{**turn, "type": "message"}]})) for turn in turns}
    assert len(keys) == 1


@_settings
@given(_conversing, texts, st.sampled_from([None, *TEXT_BLOCKS]))
def test_one_block_of_instructions_is_the_text(request, text, kind):
    """``system`` with one block of text equals the text."""
    block = {"text": text} if kind is None else {"type": kind, "text": text}
    assert cache_key(_with(request, system=[block])) == cache_key(_with(request, system=text))


@_settings
@given(_conversing, texts)
def test_input_that_is_a_text_is_a_message(request, text):
    """``input`` as a text equals one message of the user."""
    turns = [{"role": "user", "content": text}]
    assert cache_key(_with(request, input=text)) == cache_key(_with(request, input=turns))


@_settings
@given(
    _embedding,
    texts | st.lists(st.integers(0, 9)),
    st.sampled_from(["input", "texts"]),
    st.sampled_from([None, "float", "base64"]),
)
def test_one_text_to_embed_is_a_list(request, text, name, encoding):
    """A text to embed, or its token IDs, equals a list of this one. How the vectors are encoded does not matter."""
    one = _with(request, **{name: text})
    assert cache_key(_with(request, **{name: [text]}, encoding_format=encoding)) == cache_key(one)


# -- and nothing else ---------------------------------------------------------------------------------------


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, item in items for found in _paths(item, (*path, step)))]


def _mutations(old: Any) -> st.SearchStrategy[Any]:
    """Return values in place of another one. Some of them mean the same."""
    others = [leaves, st.just([old]), st.just([{"text": old}]), st.just([{"type": "text", "text": old}])]
    if type(old) in (int, float) and abs(old) < 2**60:
        others += [st.just(float(old)), st.just(int(old)), st.just(str(old))]
    if isinstance(old, list):
        others += [st.just(old[::-1]), st.just(old[1:]), st.just([*old, None])]
    if isinstance(old, dict):
        others += [st.just({**old, "type": "message"}), st.just({**old, "x": None})]
        others += [st.just({name: old[name] for name in list(old)[1:]})]
    return st.one_of(others)


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copied = deepcopy(value)
    place = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copied


@_often
@given(st.data(), requests)
def test_a_changed_body_has_the_same_key_only_if_it_means_the_same(data, request):
    """A body with one other value has another key, unless an equivalence says that it means the same."""
    paths = [path for path in _paths(dict(request.body)) if path]
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    old: Any = request.body
    for step in path:
        old = old[step]
    new = data.draw(_mutations(old))
    changed = request._replace(body=_replaced(request.body, path, new))
    same = meaning_of_request(changed) == meaning_of_request(request)
    assert (cache_key(changed) == cache_key(request)) is same


@_often
@given(requests, similar_bodies)
def test_similar_bodies_have_one_key_only_if_they_mean_the_same(request, bodies):
    """Two bodies have the same key if and only if they mean the same."""
    similar = [request._replace(body=body) for body in bodies]
    known = [(cache_key(each), meaning_of_request(each)) for each in similar]
    for (key, said), (other_key, other_said) in combinations(known, 2):
        assert (key == other_key) is (said == other_said)


@_settings
@given(requests, st.sampled_from(["namespace", "cache_version", *Request._fields]), texts)
def test_names_and_settings_enter_the_key(request, name, other):
    """A different provider, model, operation, endpoint, header, namespace or cache version gives a different key."""
    if name in ("body", "options"):
        name = "namespace"
    changed: Any = {"headers": {other: "1"}, "query": {other: "1"}, "sample": len(other)}.get(name, other)
    if name in Request._fields:
        assume(getattr(request, name) != changed)
        # What another provider or operation makes of a body is shown elsewhere.
        plain = request._replace(body={"messages": "Hello"})
        assert cache_key(plain._replace(**{name: changed})) != cache_key(plain)
    else:
        assert cache_key(request, **{name: other}) != cache_key(request)


# -- canonical forms ----------------------------------------------------------------------------------------


@_settings
@given(values, values, st.booleans())
@example(1, 1.0, True)
@example(1, 1.0, False)
@example(0.0, -0.0, True)
def test_values_share_a_form_if_and_only_if_they_have_the_same_meaning(left, right, exact):
    """Two values have the same canonical form if and only if they have the same meaning."""
    same = meaning(left, exact=exact) == meaning(right, exact=exact)
    assert (_canonical(left, exact=exact) == _canonical(right, exact=exact)) is same


@_settings
@given(values, st.booleans())
def test_no_value_is_mistaken_for_the_canonical_form_of_another(value, exact):
    """A value that imitates the canonical form of another value has a different form."""
    imitation = json.loads(_canonical(value, exact=exact))
    same = meaning(imitation, exact=exact) == meaning(value, exact=exact)
    assert (_canonical(imitation, exact=exact) == _canonical(value, exact=exact)) is same


@_settings
@given(st.dictionaries(names, values, min_size=1, max_size=1))
def test_a_dictionary_is_never_mistaken_for_a_tagged_value(value):
    """An ordinary dictionary with one name, of any kind, never has the form of a tagged value."""
    ((name, _),) = value.items()
    assert _canonical(value).startswith(b'{"~') is name.startswith("~")
    if name.startswith("~"):
        assert _canonical(value).startswith(b'{"~~')


@_settings
@given(values)
def test_a_value_has_one_form(value):
    """A copy of a value has the same form."""
    assert _canonical(deepcopy(value)) == _canonical(value)
