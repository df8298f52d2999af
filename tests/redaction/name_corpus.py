"""Secrets that their names denote, made of ``secret_names.toml``, and the harmless neighbours in ``harmless.json``."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from redaction_corpus import URL, WORD, Maker

HERE = Path(__file__).parent


class Named(NamedTuple):
    """A secret under a name.

    Attributes:
        group: What the secrets of its group have in common.
        place: Where it is.
        name: Its name, in some spelling.
        value: The part of the request that must not be in an entry.
        request: A request that contains it.
    """

    group: str
    place: str
    name: str
    value: str
    request: dict[str, Any]


SPELLINGS = (
    lambda words: "-".join(words).lower(),
    lambda words: "_".join(words).lower(),
    lambda words: words[0].lower() + "".join(map(_capital, words[1:])),
    lambda words: "".join(map(_capital, words)),
    lambda words: "_".join(words).upper(),
    lambda words: "X-" + "-".join(map(str.title, words)),
    lambda words: ".".join(words).lower(),
    lambda words: "".join(words[:-1]).lower() + words[-1].upper(),
    lambda words: "my_" + "_".join(words).lower(),
)
"""Kebab, snake, camel and Pascal case, constants, headers, paths, and two that people also use."""


def _capital(word: str) -> str:
    """Return a word with a capital. An abbreviation stays in capitals."""
    return word if word.isupper() else word.capitalize()


VALUES = {
    "hex": lambda m: m.hex(40),
    "long hex": lambda m: m.hex(64),
    "base64url": lambda m: m.text(URL, 43),
    "base64": lambda m: m.base64(32),
    "letters": lambda m: m.text(WORD, 24),
    "short": lambda m: f"{m.choice(['hunter', 'sesame', 'tiger', 'Wombat'])}{m.randrange(10, 99)}",
    "digits": lambda m: str(m.randrange(100_000, 999_999)),
    "uuid": lambda m: str(UUID(int=m.getrandbits(128), version=4)),
    "dsn": lambda m: f"https://{m.hex(32)}@o{m.randrange(10**5)}.ingest.example.com/4",
    "connection": lambda m: f"Server=db.example.com;Uid=shop;Pwd={m.text(WORD, 8)};",
}

PLACES = {
    "header": lambda name, value: {"headers": {"accept": "text/plain", name: value}},
    "query": lambda name, value: {"query": {"api-version": "2024-10-21", name: value}},
    "pairs": lambda name, value: {"headers": [["accept", "text/plain"], [name, value]]},
    "values": lambda name, value: {"body": {"extra_headers": {name: [value]}}},
    "field": lambda name, value: {"body": {"extra": {"options": {name: value}}}},
    "list": lambda name, value: {"body": {"extra": {name: ["none", value]}}},
    "named": lambda name, value: {"body": {"env": [{"name": name, "value": value}]}},
    "number": lambda name, value: {"body": {"extra": {name: int(value)}}},
    "within": lambda name, value: {"body": {"extra": {name: {"kind": "static", "blob": {"data": value}}}}},
    "vector": lambda name, value: {"body": {"extra": {name: [{"blob": value}]}}},
    "arguments": lambda name, value: _message(json.dumps({"path": "/", name: value})),
    "text": lambda name, value: _message(f"This is my .env:\nDEBUG=1\n{name}={value}\nHOST=localhost"),
    "url": lambda name, value: _message(f"See https://files.example.net/a.pdf?v=1&{name}={value} please."),
    "endpoint": lambda name, value: {"endpoint": f"https://api.example.net/v1?{name}={value}"},
}


def _message(text: str) -> dict[str, Any]:
    return {"body": {"messages": [{"role": "user", "content": text}]}}


def named_secrets() -> list[Named]:
    """Return one secret for each name and place of ``secret_names.toml``."""
    maker = Maker(5)
    made = []
    for group in tomllib.loads((HERE / "secret_names.toml").read_text())["group"]:
        names = [name.split() for name in " ".join(group["names"].split()).split(", ")]
        for number, words in enumerate(names):
            for offset, place in enumerate(group["places"]):
                name = SPELLINGS[(number + offset) % len(SPELLINGS)](words)
                form = group["values"][(number + offset) % len(group["values"])]
                value = VALUES[form](maker)
                request = PLACES[place](name, value)
                made.append(Named(group["about"], place, name, value, request))
    return made


def harmless_requests() -> list[dict[str, Any]]:
    """Return requests without secrets. Each has names and values that resemble secrets."""
    return json.loads((HERE / "harmless.json").read_text())


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return each value in a request that is neither a list nor an object, with its path."""
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, f"{path}.{name}")]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, f"{path}[{index}]")]
    return [(path, value)]
