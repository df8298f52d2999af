"""What counts as a secret, and what does not."""

from __future__ import annotations

import pytest
from redaction_corpus import harmless, secrets

from spark_cache.redaction import SECRET_PATTERNS, Redactor

SECRETS = secrets()
HARMLESS = harmless()


def test_the_corpus_is_as_large_as_it_says():
    """Two hundred secrets, all different, and as many harmless texts."""
    assert len({core for _, _, core in SECRETS}) == 200
    assert len(set(HARMLESS)) == len(HARMLESS) >= 200


@pytest.mark.parametrize(
    "frame", ["{}", "Use this: {}", "({})", "key `{}`, please.", '{{"text": "{}"}}', "a\n{}\nb"]
)
def test_a_secret_is_replaced_wherever_it_stands(frame):
    """No secret of the corpus is left in a text around it."""
    redactor = Redactor()

    left = [
        kind
        for kind, text, core in SECRETS
        if core in redactor.redact(frame.format(text.replace("\n", "\\n")))[0].replace("\\n", "\n")
    ]

    assert left == []


def test_harmless_texts_stay_as_they_are():
    """No harmless text of the corpus is touched."""
    redactor = Redactor()

    changed = [text for text in HARMLESS if redactor.redact(text) != (text, ())]

    assert changed == []


def test_the_harmless_together_stay_as_they_are():
    """Nor are they in the structure of a request."""
    value = {"messages": [{"role": "user", "content": [{"text": text}]} for text in HARMLESS]}

    assert Redactor().redact(value) == (value, ())


def test_every_shape_says_where_it_is_described():
    """A pattern without a source could not be checked by anybody."""
    assert all(shape.source and shape.kind and shape.hints for shape in SECRET_PATTERNS)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "filler", ["a", "a1", "-", "a.", "aB3-", "M" * 24, "key=", "a_", "://", "@a.", "{", '"']
)
def test_a_text_made_to_mislead_is_passed_over_quickly(filler):
    """No pattern takes time that grows faster than the text, whatever it begins to match."""
    hints = sorted({hint for shape in SECRET_PATTERNS for hint in shape.hints} | {"password", "api_key"})
    text = " ".join(hint + filler * (5_000 // len(filler)) for hint in hints)

    Redactor(emails=True).redact(text + filler * (200_000 // len(filler)))
