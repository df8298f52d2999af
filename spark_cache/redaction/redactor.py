"""Search JSON values for secrets and replace them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from spark_cache.redaction.assignments import assigned, in_urls, may_assign_secrets
from spark_cache.redaction.names import Place, Test, is_secret_name, place_of, secret_test
from spark_cache.redaction.patterns import EMAIL, SECRET_PATTERNS, SecretPattern
from spark_cache.redaction.values import is_placeholder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spark_cache.redaction.assignments import Assigned

__all__ = ["Redactor", "Secret"]

_BASE64 = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/\s]{400,}={0,2}\s*")
"""An image or a document. Anything in it that looks like a secret is a coincidence."""

_PROFILE_KIND = "match for a profile pattern"

_LONG_WORD = re.compile(r"[A-Za-z0-9_./+=:~-]{15,}")
"""A word of at least the length of the shortest key with a prefix."""

_MIN_LENGTH = 6
"""The length of the shortest secret in a text."""

_LEAST_NUMBER = 1000
"""The least number that is a secret, such as a PIN. Smaller ones are counts."""

_IN_TEXT: dict[Place, Place] = {"answer_field": "answer_text", "parameter": "parameter"}
"""The place of an assignment in a text by the place of that text. Otherwise, it is ``TEXT``."""


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

    def redact(self, request: Any) -> tuple[Any, tuple[Secret, ...]]:
        """Replace the secrets in a request.

        Args:
            request: A JSON value, which is not modified. Names in its ``headers`` and its ``query`` count as those of headers and
                parameters.

        Returns:
            A copy without secrets, and the location of each secret.
        """
        return self._search(request, is_answer=False)

    def first(self, answer: Any) -> Secret | None:
        """Return the first secret in a response.

        A response with a secret is not stored, so only names and forms that nothing harmless has count here.

        Args:
            answer: A JSON value.

        Returns:
            The location of the secret, or None.
        """
        _, found = self._search(answer, is_answer=True)
        return found[0] if found else None

    def _search(self, value: Any, *, is_answer: bool) -> tuple[Any, tuple[Secret, ...]]:
        # Most values contain the hints of few patterns, if any. Searching all strings at once for hints is much faster.
        text = "\n".join(_strings(value))
        words = "\n".join(_LONG_WORD.findall(text))
        search = _Search(
            [
                pattern
                for pattern in self._patterns
                if any(hint in (words if pattern.is_word else text) for hint in pattern.hints)
            ],
            assigns=may_assign_secrets(text),
            is_answer=is_answer,
        )
        place: Place = "answer_field" if is_answer else "field"
        return search.replaced(value, "", place), tuple(search.found)


class _Search:
    """One search through a value.

    Args:
        patterns: The patterns whose hints occur in the value.
        assigns: Whether a text of the value may assign a secret to a name.
        is_answer: Whether the value is a response.
    """

    def __init__(self, patterns: Sequence[SecretPattern], *, assigns: bool, is_answer: bool) -> None:
        self.found: list[Secret] = []
        self._patterns = patterns
        self._assigns = assigns
        self._is_answer = is_answer

    def replaced(self, value: Any, path: str, place: Place) -> Any:
        """Return a copy of a value with its secrets replaced.

        Args:
            value: The value.
            path: Its path.
            place: The place of the names in it.
        """
        if isinstance(value, str):
            return self._text(value, path, place)
        if isinstance(value, dict):
            return dict(self._items(value, path, place))
        if isinstance(value, list | tuple):
            if place == "parameter" and _is_pair(value):
                return [each for pair in self._items({value[0]: value[1]}, path, place) for each in pair]
            return [self.replaced(item, f"{path}[{index}]", place) for index, item in enumerate(value)]
        return value

    def _items(self, items: dict[str, Any], path: str, place: Place) -> Iterator[tuple[str, Any]]:
        for name, value in items.items():
            # The name itself may be a secret, which must not appear in the path.
            shown = self._text(name, f"{path} (field name)".strip(), place)
            inner = f"{path}.{shown}" if path else shown
            inside: Place
            if self._is_answer:
                inside = place
            elif isinstance(value, str):
                inside = "field"
            elif place == "within" or is_secret_name(name):
                inside = "within"
            else:
                inside = place_of(name, path)
            is_secret = secret_test(name if self._is_answer else _name_of(name, items), place)
            yield shown, self._value(value, inner, is_secret, _kind_of(shown), inside)

    def _value(self, value: Any, path: str, is_secret: Test | None, kind: str, inside: Place) -> Any:
        """Return the value of a field without its secrets."""
        if is_secret is not None:
            is_number = type(value) is int and value >= _LEAST_NUMBER and not self._is_answer
            text = str(value) if is_number else value
            if isinstance(text, str) and is_secret(text):
                self.found.append(Secret(path, kind))
                return _mark(kind)
            if isinstance(value, list | tuple) and not self._is_answer:
                return [
                    self._value(item, f"{path}[{index}]", is_secret, kind, inside)
                    for index, item in enumerate(value)
                ]
        return self.replaced(value, path, inside)

    def _text(self, text: str, path: str, place: Place) -> str:
        if len(text) < _MIN_LENGTH or _BASE64.fullmatch(text):
            return text
        inner = self._json(text, path, place)
        if inner is not None:
            return inner
        for pattern in self._patterns:
            text = self._without(pattern, text, path)
        if not self._is_answer and ("=" in text or "@" in text):
            where: Place = "parameter" if place == "parameter" else "url"
            text = self._without_assigned(text, path, in_urls(text, where))
        if self._assigns:
            text = self._without_assigned(text, path, assigned(text, _IN_TEXT.get(place, "text")))
        return text

    def _without_assigned(self, text: str, path: str, secrets: Iterable[Assigned]) -> str:
        pieces: list[str] = []
        done = 0
        for start, end, name in sorted(secrets):
            if start < done:
                continue
            self.found.append(Secret(path, _kind_of(name)))
            pieces += text[done:start], _mark(_kind_of(name))
            done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def _json(self, text: str, path: str, place: Place) -> str | None:
        """Replace the secrets in a string that is itself JSON, such as tool arguments. Return None if it has none."""
        if text[0] not in "{[" or text[-1] not in "}]":
            return None
        try:
            value = orjson.loads(text)
        except ValueError:
            return None
        before = len(self.found)
        replaced = self.replaced(value, path, place)
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


def _is_pair(value: Sequence[Any]) -> bool:
    """Return whether a list is a name and its value, as in a list of headers."""
    return len(value) == 2 and all(isinstance(item, str) for item in value)  # noqa: PLR2004


def _name_of(name: str, items: dict[str, Any]) -> str:
    """Return the name that a field gives a value. Lists of headers and of variables hold objects with a name and a value."""
    other = items.get("name", items.get("key")) if name == "value" else None
    return other if isinstance(other, str) else name
