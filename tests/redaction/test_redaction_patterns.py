"""What counts as a secret and what does not."""

from __future__ import annotations

import pytest
from redaction_corpus import harmless, secrets

from spark_cache.redaction import SECRET_PATTERNS, Redactor

SECRETS = secrets()
HARMLESS = harmless()


def test_the_corpus_is_large_enough():
    """The corpus has two hundred different secrets and as many harmless texts."""
    assert len({core for _, _, core in SECRETS}) == 200
    assert len(set(HARMLESS)) == len(HARMLESS) >= 200


@pytest.mark.parametrize(
    "frame", ["{}", "Use this: {}", "({})", "key `{}`, please.", '{{"text": "{}"}}', "a\n{}\nb"]
)
def test_a_secret_is_replaced_anywhere_in_a_text(frame):
    """No secret of the corpus remains in a surrounding text."""
    redactor = Redactor()

    left = [
        kind
        for kind, text, core in SECRETS
        if core in redactor.redact(frame.format(text.replace("\n", "\\n")))[0].replace("\\n", "\n")
    ]

    assert left == []


def test_harmless_texts_are_unchanged():
    """No harmless text of the corpus is changed."""
    redactor = Redactor()

    changed = [text for text in HARMLESS if redactor.redact(text) != (text, ())]

    assert changed == []


def test_harmless_texts_in_a_request_are_unchanged():
    """No harmless text is changed inside the structure of a request."""
    value = {"messages": [{"role": "user", "content": [{"text": text}]} for text in HARMLESS]}

    assert Redactor().redact(value) == (value, ())


def test_every_pattern_names_its_source():
    """A pattern without a source could not be verified."""
    assert all(pattern.source and pattern.kind and pattern.hints for pattern in SECRET_PATTERNS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "filler",
    [
        "a", "a1", "-", "a.", "aB3-", "M" * 24, "key=", "a_", "://", "@a.", "{", '"', "?sig=", "&token=a1", ";pwd=", "://a1", "x-jwt: ",
        "token: a1B2c3D4e5F6g7H8 ", "?token=a1B2c3D4e5F6g7H8",
    ],
)  # fmt: skip
def test_a_misleading_text_is_searched_quickly(filler):
    """The time of every pattern is linear in the length of the text, even after many partial matches."""
    hints = sorted({hint for pattern in SECRET_PATTERNS for hint in pattern.hints} | {"password", "api_key"})
    text = " ".join(hint + filler * (5_000 // len(filler)) for hint in hints)

    Redactor(emails=True).redact({"headers": [text + filler * (1_000_000 // len(filler))]})
