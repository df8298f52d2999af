"""Look through JSON values for secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.redaction.key_names import assigned, is_placeholder, is_secret_name, may_name_secrets
from spark_cache.redaction.patterns import EMAIL, SECRET_PATTERNS, SecretPattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Redactor", "Secret"]

_BASE64 = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/\s]{400,}={0,2}\s*")
"""An image or a document: what looks like a secret in it is chance."""

_OWN = "text that a pattern of the profile hides"

_LONG_WORD = re.compile(r"[A-Za-z0-9_./+=:~-]{15,}")
"""No key with a prefix is shorter."""

_LEAST = 6
"""No secret is shorter."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that was found; not the secret itself.

    Attributes:
        path: Where it stands: ``messages[0].content``.
        kind: What it looks like: ``OpenAI API key``.
    """

    path: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


class Redactor:
    """Finds secrets in JSON values.

    Args:
        patterns: Further patterns of secrets; a group called ``secret`` in one is the part to hide.
        emails: Whether e-mail addresses count as secrets.
    """

    def __init__(self, patterns: Sequence[str] = (), *, emails: bool = False) -> None:
        own = [SecretPattern(_OWN, ("",), pattern, "", has_placeholders=False) for pattern in patterns]
        self._shapes = (*own, *SECRET_PATTERNS, *((EMAIL,) if emails else ()))

    def redact(self, value: Any) -> tuple[Any, tuple[Secret, ...]]:
        """A value with its secrets replaced, and where they stood; the value itself stays as it is."""
        # Most values hold the hints of no shape or of few: to look for them in all texts at once is much quicker.
        text = "\n".join(_texts(value))
        words = "\n".join(_LONG_WORD.findall(text))
        search = _Search(
            [
                shape
                for shape in self._shapes
                if any(hint in (words if shape.is_word else text) for hint in shape.hints)
            ],
            by_name=may_name_secrets(text),
        )
        return search.replaced(value, ""), tuple(search.found)

    def first(self, value: Any) -> Secret | None:
        """The first secret in a value; None where there is none."""
        _, found = self.redact(value)
        return found[0] if found else None


class _Search:
    """One look through a value.

    Args:
        shapes: The shapes that may be in it.
        by_name: Whether there may be secrets that only their name tells.
    """

    def __init__(self, shapes: Sequence[SecretPattern], *, by_name: bool) -> None:
        self.found: list[Secret] = []
        self._shapes = shapes
        self._by_name = by_name

    def replaced(self, value: Any, path: str) -> Any:
        """The value with its secrets replaced."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return dict(self._items(value, path))
        if isinstance(value, list | tuple):
            return [self.replaced(item, f"{path}[{place}]") for place, item in enumerate(value)]
        return value

    def _items(self, items: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, value in items.items():
            # A name may hold a secret itself; the path to it shall not.
            shown = self._text(name, f"{path} (a name)".strip())
            place = f"{path}.{shown}" if path else shown
            if self._by_name and is_secret_name(name) and _is_secret_text(value):
                self.found.append(Secret(place, _named(shown)))
                yield shown, _mark(_named(shown))
            else:
                yield shown, self.replaced(value, place)

    def _text(self, text: str, path: str) -> str:
        if len(text) < _LEAST or _BASE64.fullmatch(text):
            return text
        inner = self._json(text, path)
        if inner is not None:
            return inner
        for shape in self._shapes:
            text = self._without(shape, text, path)
        if self._by_name:
            for start, end, name in reversed(assigned(text)):
                self.found.append(Secret(path, _named(name)))
                text = f"{text[:start]}{_mark(_named(name))}{text[end:]}"
        return text

    def _json(self, text: str, path: str) -> str | None:
        """A text that is itself JSON, as arguments of tools are; None where nothing in it is a secret."""
        if text[0] not in "{[" or text[-1] not in "}]":
            return None
        try:
            value = orjson.loads(text)
        except ValueError:
            return None
        before = len(self.found)
        replaced = self.replaced(value, path)
        return None if len(self.found) == before else orjson.dumps(replaced).decode()

    def _without(self, shape: SecretPattern, text: str, path: str) -> str:
        def hide(match: re.Match[str]) -> str:
            group = "secret" if "secret" in match.re.groupindex else 0
            start, end = match.span(group)
            if start == end or (shape.has_placeholders and is_placeholder(match[group])):
                return match[0]
            self.found.append(Secret(path, shape.kind))
            before, after = match.start(), match.end()
            return f"{text[before:start]}{_mark(shape.kind)}{text[end:after]}"

        return shape.matcher.sub(hide, text)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value that are looked through, names included."""
    if isinstance(value, str):
        if not _BASE64.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _mark(kind: str) -> str:
    return f"[redacted: {kind}]"


def _named(name: str) -> str:
    return f"what is called {name}"


def _is_secret_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not is_placeholder(value)
