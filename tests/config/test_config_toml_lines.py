"""Finding the line of every key in a TOML document."""

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


def test_every_key_has_its_line() -> None:
    """Covers tables, arrays of tables, dotted and quoted keys, inline tables and multiline strings."""
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


def key_paths(value: Any, key_path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Return the path of every key and array element in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key_path} | {found for key, inner in items for found in key_paths(inner, (*key_path, key))}


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
def test_every_key_of_a_valid_document_is_found(document: dict[str, Any], multiline: bool) -> None:
    """No key is missed, and no key is invented, in either style of strings."""
    text = tomli_w.dumps(document, multiline_strings=multiline)
    parsed = tomllib.loads(text)
    lines = key_lines(text)
    found = key_paths(parsed) - {()}
    # An array of tables has no line if it is empty or only implied by a later header.
    written = {key_path for key_path in found if key_path in lines}
    assert set(lines) <= found
    missing = {key_path for key_path in found - written if not isinstance(_at(parsed, key_path), dict | list)}
    assert missing == set()
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def _at(value: Any, key_path: tuple[str | int, ...]) -> Any:
    for key in key_path:
        value = value[key]
    return value


def test_the_time_is_linear_in_the_length_of_the_file() -> None:
    """A file of eight times the length takes less than 24 times as long; quadratic time would be 64 times."""

    def seconds(count: int) -> float:
        text = "".join(f'[[rules]]\nmodel = "m{n}"\nttl = """\n{n}"""\n' for n in range(count))
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            key_lines(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(8000) < 24 * seconds(1000)
