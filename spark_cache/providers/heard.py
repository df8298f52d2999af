"""Whether a whole response says what the events of its stream said.

A stream is passed on event by event and added up at its end. Where the sum says something else, it must not be stored as the
response: it would answer later calls with what nobody heard.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["StreamForm", "unheard"]

_MAX_DEPTH = 100
"""Deeper values are not compared."""


class StreamForm(NamedTuple):
    """What a provider's streams look like.

    Attributes:
        pieces: Returns the parts of an event that add something to the response.
        answer: Returns the parts of a response that the pieces add up to.
        growing: The fields whose text arrives in pieces, and the names under which they are compared. The text of every other
            field arrives as a whole.
        assembled: The fields that hold values parsed from pieces of JSON text; the tool calls are compared instead.
        encoded: The fields whose pieces are decoded before they are joined. They are not compared.
        unsaid: The fields in pieces that the response need not repeat.
        own: The texts that no event contains, because the form of a response that is not streamed requires them.
    """

    pieces: Callable[[Any], Iterable[Any]]
    answer: Callable[[Any], Iterable[Any]]
    growing: Mapping[str, str]
    assembled: frozenset[str] = frozenset()
    encoded: frozenset[str] = frozenset()
    unsaid: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


def unheard(raw: Any, events: Sequence[Any], form: StreamForm) -> str | None:
    """Return the place where a response and the events of its stream disagree; None if there is none.

    Args:
        raw: The response, as the events add up to.
        events: The events, as the provider sent them.
        form: What the provider's streams look like.
    """
    left_out = form.assembled | form.encoded
    heard = {text for event in events for _, _, text in _texts(event, frozenset())}
    pieces = [piece for event in events for piece in form.pieces(event)]
    grown, built = _grown(pieces, form, left_out), _grown(form.answer(raw), form, left_out)
    added_up = {text for name in grown for text in built.get(name, ())}
    expected = heard | added_up | form.own | {""}
    said = set()
    for path, _, text in _texts(raw, left_out):
        said.add(text)
        if text not in expected:
            return path
    for path, name, text in _texts(pieces, left_out):
        if name not in form.growing and name not in form.unsaid and text and text not in said:
            return path
    return next((name for name in grown if not _are_equal(grown[name], built.get(name, []))), None)


def _grown(parts: Iterable[Any], form: StreamForm, left_out: frozenset[str]) -> dict[str, list[str]]:
    """Return the texts of each field that grows."""
    texts: dict[str, list[str]] = {}
    for part in parts:
        for _, name, text in _texts(part, left_out):
            if text and name in form.growing:
                texts.setdefault(form.growing[name], []).append(text)
    return texts


def _are_equal(pieces: list[str], texts: list[str]) -> bool:
    one, other = "".join(pieces), "".join(texts)
    # Pieces of several texts may arrive in turns, in another order than the texts have in the response.
    return one == other or (len(one) == len(other) and Counter(one) == Counter(other))


def _texts(
    value: Any, left_out: frozenset[str], path: str = "", name: str = "", depth: int = 0
) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the name of the field, and the text of every string."""
    kind = type(value)
    if kind is str:
        yield path, name, value
    elif depth > _MAX_DEPTH:
        return
    elif kind is dict:
        for inner, item in value.items():
            if inner not in left_out:
                yield from _texts(item, left_out, f"{path}.{inner}" if path else inner, inner, depth + 1)
    elif kind is list:
        for at, item in enumerate(value):
            yield from _texts(item, left_out, f"{path}[{at}]", name, depth + 1)
