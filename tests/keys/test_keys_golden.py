"""The canonical form is a contract: these requests have these keys in every release until the next major one.

``golden.json`` contains requests with their canonical JSON and their keys: the arguments of a call under ``request``, or what goes over
the wire under ``body``. A value that JSON cannot represent is written there as an object with one name that begins with ``$``. Run as
a program, this file prints the key of every case.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from keys_world import request_of

from spark_cache.keys import KEY_VERSION, DigestMemo, cache_key
from spark_cache.types import CacheKey, Request

_FILE = Path(__file__).parent / "golden.json"
_CASES: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]

_EQUAL = [
    ("the smallest request", "content as one text block"),
    ("the smallest request", "content as a block of another form"),
    ("the smallest request", "messages as a tuple"),
    ("the smallest request", "a parameter that is None"),
    ("the smallest request", "empty parameters"),
    ("the smallest request", "headers of the transport are left out"),
    ("an integral float", "the integer that it equals"),
    ("a question to openai", "the wire: a block of text"),
    ("a question to gemini", "the wire: empty settings of gemini"),
    ("a question to bedrock", "the wire: empty settings of bedrock"),
    ("a question to the Responses API", "the wire: input as text"),
    ("a question to the Responses API", "the wire: input with a type"),
    ("the wire: system as text", "the wire: system as a block"),
    ("the wire: a server without credentials", "the wire: credentials for the server of a tool"),
]
"""Pairs of cases with the same meaning. All other cases differ."""


class _Colour(Enum):
    RED = "red"


_BUILDERS: dict[str, Any] = {
    "$bytes": base64.b64decode,
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$decimal": Decimal,
    "$enum": _Colour,
    "$float": float,
    "$int": int,
    "$path": PurePosixPath,
    "$repeat": lambda given: given[0] * given[1],
    "$repeat_bytes": lambda given: base64.b64decode(given[0]) * given[1],
    "$time": time.fromisoformat,
    "$tuple": lambda given: tuple(_built(item) for item in given),
    "$uuid": UUID,
}


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return [_built(item) for item in value]
    if isinstance(value, dict):
        ((name, given),) = value.items() if len(value) == 1 else ((None, None),)
        if name in _BUILDERS:
            return _BUILDERS[name](given)
        return {name: _built(item) for name, item in value.items()}
    return value


def _key(case: dict[str, Any], **settings: Any) -> CacheKey:
    request = Request(**_built(case["body"])) if "body" in case else request_of(**_built(case["request"]))
    return cache_key(request, **case.get("settings", {}), **settings)


def _named(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", _CASES, ids=_named)
def test_golden_request_has_its_key(case):
    """A request has the same key as in the first release."""
    assert _key(case) == case["key"]


@pytest.mark.parametrize("case", _CASES, ids=_named)
def test_golden_key_is_the_digest_of_the_canonical_text(case):
    """A key is the SHA-256 of the canonical JSON in the golden file."""
    assert sha256(case["canonical"].encode()).hexdigest() == case["key"]


@pytest.mark.parametrize("case", _CASES, ids=_named)
def test_golden_canonical_text_is_compact_sorted_json(case):
    """Canonical JSON has names sorted by code point and no white space, so any JSON library can write it."""
    read = json.loads(case["canonical"])
    again = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again == case["canonical"]
    assert read["version"] == KEY_VERSION


@pytest.mark.parametrize("case", _CASES, ids=_named)
def test_golden_key_does_not_depend_on_a_memo(case):
    """A memoised digest gives the same key as a computed one."""
    memo = DigestMemo()
    assert [_key(case, digest=memo), _key(case, digest=memo)] == [case["key"]] * 2


def test_golden_cases_differ_unless_they_mean_the_same():
    """Two golden requests share a key only if they have the same meaning."""
    equivalents = {later: first for first, later in _EQUAL}
    meanings = {equivalents.get(case["name"], case["name"]) for case in _CASES}
    assert len({case["key"] for case in _CASES}) == len(meanings)


def test_golden_cases_cover_every_tag():
    """The golden file covers every tag of the canonical form."""
    whole = "".join(case["canonical"] for case in _CASES)
    tags = (
        "bytes",
        "date",
        "datetime",
        "decimal",
        "int",
        "path",
        "sha256:bytes",
        "sha256:text",
        "time",
        "uuid",
    )
    assert [tag for tag in tags if f'{{"~{tag}":' not in whole] == []
    assert len(_CASES) >= 40


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_keys_are_the_same_in_a_new_process(seed):
    """A process with a different hash seed computes the same key for every golden request."""
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [case["key"] for case in _CASES]


if __name__ == "__main__":
    for _case in _CASES:
        print(_key(_case))
