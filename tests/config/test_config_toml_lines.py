"""The line of every key in a TOML text."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.config.toml_lines import key_lines

TEXT = '''# a comment with [brackets] and "quotes"
title = "x = [1]"

[cache]
ttl = "1h" # = 2
"quoted key" = 1
'literal' = 2
"esc\\u0061ped" = 3
long = """
[not.a.table]
key = "no" \\
""""
raw = \'\'\'
[[neither]]\'\'\'
list = [
  1, # one
  "]",
  [2, 3],
  { a = 1, b = { c = 2 } },
]
dotted.deep . er = true
when = 2024-01-01T07:32:00Z

[[rules]]
model = "a"

[[rules]]
model = "b"
[[rules.inner]]
x = 1
[rules.inner.table]
y = 2

[a . "b.c"]
z = 1
'''


def test_every_key_has_the_line_it_stands_on() -> None:
    """Tables, arrays of tables, dotted and quoted keys, inline tables and long strings."""
    assert key_lines(TEXT) == {
        ("title",): 2,
        ("cache",): 4,
        ("cache", "ttl"): 5,
        ("cache", "quoted key"): 6,
        ("cache", "literal"): 7,
        ("cache", "escaped"): 8,
        ("cache", "long"): 9,
        ("cache", "raw"): 13,
        ("cache", "list"): 15,
        ("cache", "list", 0): 16,
        ("cache", "list", 1): 17,
        ("cache", "list", 2): 18,
        ("cache", "list", 2, 0): 18,
        ("cache", "list", 2, 1): 18,
        ("cache", "list", 3): 19,
        ("cache", "list", 3, "a"): 19,
        ("cache", "list", 3, "b"): 19,
        ("cache", "list", 3, "b", "c"): 19,
        ("cache", "dotted"): 21,
        ("cache", "dotted", "deep"): 21,
        ("cache", "dotted", "deep", "er"): 21,
        ("cache", "when"): 22,
        ("rules",): 24,
        ("rules", 0): 24,
        ("rules", 0, "model"): 25,
        ("rules", 1): 27,
        ("rules", 1, "model"): 28,
        ("rules", 1, "inner"): 29,
        ("rules", 1, "inner", 0): 29,
        ("rules", 1, "inner", 0, "x"): 30,
        ("rules", 1, "inner", 0, "table"): 31,
        ("rules", 1, "inner", 0, "table", "y"): 32,
        ("a", "b.c"): 34,
        ("a", "b.c", "z"): 35,
    }


def places(value: Any, place: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """The way to every key and array element of a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {place} | {found for key, inner in items for found in places(inner, (*place, key))}


scalars = st.integers(-5, 5) | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
documents = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text('ab."\\ ', max_size=3), inner, max_size=3)
            | st.lists(st.dictionaries(st.text("ab", max_size=2), inner, max_size=2), max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=6,
)


@given(documents, st.booleans())
def test_whatever_tomllib_accepts_every_key_is_found(document: dict[str, Any], multiline: bool) -> None:
    """No key of a document is missed and none is made up, however it is written."""
    text = tomli_w.dumps(document, multiline_strings=multiline)
    parsed = tomllib.loads(text)
    lines = key_lines(text)
    found = places(parsed) - {()}
    # An array of tables that is empty, or implied by a header below it, has no line of its own.
    written = {place for place in found if place in lines}
    assert set(lines) <= found
    assert {place for place in found - written if not isinstance(_at(parsed, place), dict | list)} == set()
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def test_a_long_file_takes_time_in_proportion() -> None:
    """Eight times the file takes far less than sixty-four times the time."""

    def seconds(count: int) -> float:
        text = "".join(f'[[rules]]\nmodel = "m{n}"\nttl = """\n{n}"""\n' for n in range(count))
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            key_lines(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(8000) < 24 * seconds(1000)
