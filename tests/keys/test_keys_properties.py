"""Properties that hold for every request."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spark_cache.keys import cache_key
from spark_cache.keys.canonical import canonical_bytes
from spark_cache.keys.memo import digest_of
from spark_cache.types import Request

_settings = settings(deadline=None, max_examples=100)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.one_of(
    _text, st.sampled_from(["~", "~int", "~decimal", "~bytes", "~~", "~sha256:text", "a", "b"])
)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    _text,
    st.binary(max_size=8),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.dates(),
    st.datetimes(),
    st.uuids(),
)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)
_messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": _text | _values}),
    max_size=4,
)
_parameter_names = st.sampled_from(
    ["temperature", "seed", "stop", "metadata", "response_format", "extra_body"]
)
_requests = st.builds(
    Request,
    provider=_text,
    model_id=_text,
    messages=_messages,
    system_prompt=st.none() | _text,
    tool_specs=st.none() | st.lists(_values, max_size=3),
    tool_choice=st.none() | _text,
    output_schema=st.none() | _values,
    operation=st.sampled_from(["text", "json", "embedding"]),
    endpoint=st.none() | _text,
    sample=st.none() | st.integers(0, 5),
    parameters=st.dictionaries(_parameter_names, _values, max_size=4),
)


def _canonical(value: Any) -> bytes:
    return canonical_bytes(value, "value", digest_of)


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__annotations__}


def _with_all(value: Any, change: Any) -> Any:
    """Apply ``change`` to every container in a value, from the inside out."""
    if isinstance(value, dict):
        return change({name: _with_all(item, change) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return change([_with_all(item, change) for item in value])
    return value


def _leaf_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every leaf in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [found for step, item in items for found in _leaf_paths(item, (*path, step))]
    return inner or [path]


def _replaced(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copied = deepcopy(value)
    place = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = leaf
    return copied


def _same(left: Any, right: Any) -> bool:
    """Return whether two leaves have the same meaning to a provider: ``1`` equals ``1.0`` but not ``True``."""
    exact = {int, float}
    if type(left) in exact and type(right) in exact:
        both_exact = all(type(side) is int or abs(side) <= 2**53 for side in (left, right))
        return left == right and (both_exact or type(left) is type(right))
    if type(left) is not type(right):
        return False
    return str(left) == str(right) if not isinstance(left, str | bytes) else left == right


@_settings
@given(_requests)
def test_order_of_dictionaries_does_not_matter(request):
    """A request whose dictionaries have a different order has the same key."""
    turned = _with_all(
        _fields(request), lambda inner: dict(reversed(inner.items())) if isinstance(inner, dict) else inner
    )
    assert cache_key(Request(**turned)) == cache_key(request)


@_settings
@given(_requests)
def test_tuples_are_lists(request):
    """A request with tuples instead of lists has the same key."""
    turned = _with_all(_fields(request), lambda inner: tuple(inner) if isinstance(inner, list) else inner)
    assert cache_key(Request(**turned)) == cache_key(request)


@_settings
@given(_requests, st.sets(st.sampled_from(["top_p", "user", "logit_bias"])))
def test_parameters_that_are_none_are_absent(request, names):
    """A top-level parameter that is None equals an absent one."""
    more = {**request.parameters, **dict.fromkeys(names)}
    assert cache_key(Request(**{**_fields(request), "parameters": more})) == cache_key(request)


@_settings
@given(_requests, _text)
def test_one_text_block_is_the_text(request, text):
    """``content`` as a string and as one text block are the same message."""
    as_text = [*request.messages, {"role": "user", "content": text}]
    as_block = [*request.messages, {"role": "user", "content": [{"text": text}]}]
    keys = {cache_key(Request(**{**_fields(request), "messages": each})) for each in (as_text, as_block)}
    assert len(keys) == 1


@_settings
@given(st.integers(-(2**53), 2**53))
def test_integral_floats_are_integers(number):
    """An integer and the equal float have the same form, within the range of exact floats."""
    assert _canonical(number) == _canonical(float(number))


@_settings
@given(st.data(), _requests)
def test_any_other_change_gives_another_key(data, request):
    """A request with one changed leaf has a different key."""
    fields = _fields(request)
    fields.pop("provider"), fields.pop("model_id"), fields.pop("operation")
    path = data.draw(st.sampled_from(_leaf_paths(fields)))
    old: Any = fields
    for step in path:
        old = old[step]
    new = data.draw(_leaves)
    assume(not _same(old, new))
    # At the top level, a field or a parameter that is None counts as absent.
    assume(not (len(path) == 1 or path[0] == "parameters") or not _absent(old, new))
    changed = {**_fields(request), **_replaced(fields, path, new)}
    assume(isinstance(changed["parameters"], dict))
    # A single text block equals its text, so a change that creates one may keep the meaning of the request.
    assume(not (path[0] == "messages" and _has_text_block(request.messages, changed["messages"])))
    assert cache_key(Request(**changed)) != cache_key(request)


def _absent(old: Any, new: Any) -> bool:
    return all(value is None or value == {} for value in (old, new))


def _has_text_block(*messages: Any) -> bool:
    return any(
        isinstance(message, dict)
        and isinstance(message.get("content"), list)
        and len(message["content"]) == 1
        and isinstance(message["content"][0], dict)
        and list(message["content"][0]) == ["text"]
        for listed in messages
        if isinstance(listed, list)
        for message in listed
    )


@_settings
@given(_requests, st.sampled_from(["provider", "model_id", "operation", "namespace", "cache_version"]), _text)
def test_names_and_settings_enter_the_key(request, name, other):
    """A different provider, model, operation, namespace or cache version gives a different key."""
    fields = _fields(request)
    if name in fields:
        assume(fields[name] != other)
        assert cache_key(Request(**{**fields, name: other})) != cache_key(request)
    else:
        assert cache_key(request, **{name: other}) != cache_key(request)


@_settings
@given(_values, _values)
def test_values_share_a_form_if_and_only_if_they_have_the_same_meaning(left, right):
    """Two values have the same canonical form if and only if they have the same meaning."""
    assert (_canonical(left) == _canonical(right)) is (_meaning(left) == _meaning(right))


@_settings
@given(_values)
def test_no_value_is_mistaken_for_the_canonical_form_of_another(value):
    """A value that imitates the canonical form of another value has a different form."""
    imitation = json.loads(_canonical(value))
    assert (_canonical(imitation) == _canonical(value)) is (_meaning(imitation) == _meaning(value))


@_settings
@given(st.dictionaries(_names, _values, min_size=1, max_size=1))
def test_a_dictionary_is_never_mistaken_for_a_tagged_value(value):
    """An ordinary dictionary with one name, of any kind, never has the form of a tagged value."""
    ((name, _),) = value.items()
    assert _canonical(value).startswith(b'{"~') is name.startswith("~")
    if name.startswith("~"):
        assert _canonical(value).startswith(b'{"~~')


@_settings
@given(_values)
def test_a_value_has_one_form(value):
    """A copy of a value has the same form."""
    assert _canonical(deepcopy(value)) == _canonical(value)


def _meaning(value: Any) -> Any:
    """Convert a value for comparison so that types with different meanings stay distinct."""
    if isinstance(value, dict):
        return {name: _meaning(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_meaning(item) for item in value]
    if type(value) is float and abs(value) <= 2**53 and value == int(value):
        return ("int", str(int(value)))
    return (type(value).__name__, str(value))
