"""The help desk of a public library, answered by a language model."""

from __future__ import annotations

import asyncio
import sys

from spark_cache import OpenAIModel

SUGGEST = "You work in a public library. Suggest a book on the topic in one sentence."
SORT = "You work in a public library. Answer with the department that can help: children, fiction or science."
DEPARTMENTS = ("children", "fiction", "science")

model = OpenAIModel("gpt-4o-mini")


async def suggest(topic: str) -> str:
    """Suggest a book on a topic."""
    answer = await model.get_text([{"role": "user", "content": topic}], SUGGEST, max_tokens=200)
    return answer.content


async def department(question: str) -> str | None:
    """Return the department that can help with a question, or None if the model names none."""
    answer = await model.get_text([{"role": "user", "content": question}], SORT, max_tokens=200)
    return next((name for name in DEPARTMENTS if name in answer.content.lower()), None)


if __name__ == "__main__":
    print(asyncio.run(suggest(" ".join(sys.argv[1:]))))
