"""Search JSON values for secrets and replace them."""

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
"""An image or a document. Anything in it that looks like a secret is a coincidence."""

_PROFILE_KIND = "match for a profile pattern"

_LONG_WORD = re.compile(r"[A-Za-z0-9_./+=:~-]{15,}")
"""A word of at least the length of the shortest key with a prefix."""

_MIN_LENGTH = 6
"""The length of the shortest secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The location and the kind of a secret, without the secret itself.

    Attributes:
        path: The path of the secret, such as ``messages[0].content``.
        kind: The kind of the secret, such as ``OpenAI API key``.
    """

    path: str
    kind: str

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


class Redactor:
    """Finds and replaces secrets in JSON values.

    Args:
        patterns: Additional regular expressions for secrets. A group named ``secret`` marks the part to hide.
        emails: Whether e-mail addresses count as secrets.
    """

    def __init__(self, patterns: Sequence[str] = (), *, emails: bool = False) -> None:
        own = [
            SecretPattern(_PROFILE_KIND, ("",), pattern, "", has_placeholders=False) for pattern in patterns
        ]
        self._patterns = (*own, *SECRET_PATTERNS, *((EMAIL,) if emails else ()))

    def redact(self, value: Any) -> tuple[Any, tuple[Secret, ...]]:
        """Replace the secrets in a value.

        Args:
            value: A JSON value. It is not modified.

        Returns:
            A copy without secrets, and the location of each secret.
        """
        # Most values contain the hints of few patterns, if any. Searching all strings at once for hints is much faster.
        text = "\n".join(_strings(value))
        words = "\n".join(_LONG_WORD.findall(text))
        search = _Search(
            [
                pattern
                for pattern in self._patterns
                if any(hint in (words if pattern.is_word else text) for hint in pattern.hints)
            ],
            by_name=may_name_secrets(text),
        )
        return search.replaced(value, ""), tuple(search.found)

    def first(self, value: Any) -> Secret | None:
        """Return the first secret in a value.

        Args:
            value: A JSON value.

        Returns:
            The location of the secret, or None.
        """
        _, found = self.redact(value)
        return found[0] if found else None


class _Search:
    """One search through a value.

    Args:
        patterns: The patterns whose hints occur in the value.
        by_name: Whether the value may contain secrets that only their name identifies.
    """

    def __init__(self, patterns: Sequence[SecretPattern], *, by_name: bool) -> None:
        self.found: list[Secret] = []
        self._patterns = patterns
        self._by_name = by_name

    def replaced(self, value: Any, path: str) -> Any:
        """Return a copy of a value with its secrets replaced."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return dict(self._items(value, path))
        if isinstance(value, list | tuple):
            return [self.replaced(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    def _items(self, items: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, value in items.items():
            # The name itself may be a secret, which must not appear in the path.
            shown = self._text(name, f"{path} (field name)".strip())
            inner = f"{path}.{shown}" if path else shown
            if self._by_name and is_secret_name(name) and _is_secret_text(value):
                self.found.append(Secret(inner, _kind_of(shown)))
                yield shown, _mark(_kind_of(shown))
            else:
                yield shown, self.replaced(value, inner)

    def _text(self, text: str, path: str) -> str:
        if len(text) < _MIN_LENGTH or _BASE64.fullmatch(text):
            return text
        inner = self._json(text, path)
        if inner is not None:
            return inner
        for pattern in self._patterns:
            text = self._without(pattern, text, path)
        if self._by_name:
            for start, end, name in reversed(assigned(text)):
                self.found.append(Secret(path, _kind_of(name)))
                text = f"{text[:start]}{_mark(_kind_of(name))}{text[end:]}"
        return text

    def _json(self, text: str, path: str) -> str | None:
        """Replace the secrets in a string that is itself JSON, such as tool arguments. Return None if it has none."""
        if text[0] not in "{[" or text[-1] not in "}]":
            return None
        try:
            value = orjson.loads(text)
        except ValueError:
            return None
        before = len(self.found)
        replaced = self.replaced(value, path)
        return None if len(self.found) == before else orjson.dumps(replaced).decode()

    def _without(self, pattern: SecretPattern, text: str, path: str) -> str:
        def hide(match: re.Match[str]) -> str:
            group = "secret" if "secret" in match.re.groupindex else 0
            start, end = match.span(group)
            if start == end or (pattern.has_placeholders and is_placeholder(match[group])):
                return match[0]
            self.found.append(Secret(path, pattern.kind))
            before, after = match.start(), match.end()
            return f"{text[before:start]}{_mark(pattern.kind)}{text[end:after]}"

        return pattern.matcher.sub(hide, text)


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings of a value that are searched, including names."""
    if isinstance(value, str):
        if not _BASE64.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _mark(kind: str) -> str:
    return f"[redacted: {kind}]"


def _kind_of(name: str) -> str:
    return f"value of {name}"


def _is_secret_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not is_placeholder(value)
