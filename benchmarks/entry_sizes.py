"""Measure the size of entries: ``python -m benchmarks.entry_sizes FILE``, with recorded exchanges, one JSON object on each line.

Every whole answer in the file is encoded as an entry. The exchanges repeat until there are 1,000 answers.
"""

from __future__ import annotations

import json
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from spark_cache.entries import CacheEntry, encode
from spark_cache.providers.anthropic.messages import read_answer as read_message
from spark_cache.providers.bedrock.converse import read_answer as read_converse
from spark_cache.providers.gemini.answer import read_answer as read_content
from spark_cache.providers.openai.chat import read_answer as read_chat
from spark_cache.providers.openai.responses import read_answer as read_response
from spark_cache.providers.response import to_stored

_READERS = (
    ("/chat/completions", read_chat),
    ("/responses", read_response),
    ("/messages", read_message),
    (":generateContent", read_content),
    ("/converse", read_converse),
)
_ANSWERS = 1000


def main(file: str) -> None:
    """Print the total size of the entries, and of the answers in them."""
    with Path(file).open() as lines:
        exchanges = [json.loads(line) for line in lines]
    answers = [found for exchange in exchanges if (found := _answer(exchange)) is not None]
    sizes, texts = 0, 0
    for answer in islice(cycle(answers), _ANSWERS):
        entry = CacheEntry("0" * 64, "p", "m", answer, 1_700_000_000.0, 86400.0)
        sizes += len(encode(entry))
        texts += len(answer["content"].encode())
    print(
        f"{_ANSWERS:,} entries of {len(answers)} answers: {sizes:,} bytes, of which {texts:,} are their texts once"
    )


def _answer(exchange: dict[str, Any]) -> dict[str, Any] | None:
    reader = next(
        (read for ending, read in _READERS if exchange["path"].partition("?")[0].endswith(ending)), None
    )
    if reader is None or exchange["stream"] or exchange["status"] != 200 or exchange["encoding"] != "text":
        return None
    return to_stored(reader(json.loads(exchange["response"])))


main(*sys.argv[1:])
