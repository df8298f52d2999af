"""List the files of the package that a hit, a miss and a put run through.

A file counts if one of its functions runs. The provider is a stand-in on loopback::

    python -m benchmarks.call_files          # the numbers
    python -m benchmarks.call_files --files  # the files too
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any

import spark_cache
from spark_cache import CacheConfig, OpenAIModel
from spark_cache.calls.background import in_background
from spark_cache.testing import StandInProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["files_of_calls"]

_ROOT = os.path.dirname(spark_cache.__file__)
_TESTING = os.path.join(_ROOT, "testing")


async def files_of_calls() -> dict[str, list[str]]:
    """Return the files of each kind of call, by its name."""
    with tempfile.TemporaryDirectory() as directory, StandInProvider() as provider:
        config = CacheConfig(enabled=True, cache_dir=directory, allow_plaintext=True)
        client_args = {"base_url": provider.base_url, "api_key": "any"}
        async with OpenAIModel("gpt-4o", client_args=client_args, cache_config=config) as model:
            known, new = ([{"role": "user", "content": text}] for text in ("known", "new"))
            # The first calls import modules and fill caches.
            response = await model.get_text(known)
            await model.get_text(known)
            key = str(response.cache_key)
            stored = model.cache.get(model.cache_key(known))
            return {
                "hit of get_text": await _traced(lambda: model.get_text(known)),
                "miss of get_text with its put": await _traced(lambda: model.get_text(new)),
                "hit of get": await _traced(lambda: _now(model.cache.get, model.cache_key(known))),
                "put of set": await _traced(
                    lambda: _now(model.cache.set, key, "openai", "gpt-4o", None, stored)
                ),
            }


async def _now(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


async def _traced(call: Callable[[], Awaitable[Any]]) -> list[str]:
    files: set[str] = set()
    waiting = call()

    def note(frame: Any, event: str, _argument: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(_ROOT) and not path.startswith(_TESTING):
            files.add(os.path.relpath(path, _ROOT))

    await in_background(partial(sys.setprofile, note))
    sys.setprofile(note)
    try:
        await waiting
    finally:
        sys.setprofile(None)
        await in_background(partial(sys.setprofile, None))
    return sorted(files)


if __name__ == "__main__":
    for name, found in asyncio.run(files_of_calls()).items():
        print(f"{len(found):3}  {name}")
        if "--files" in sys.argv:
            print("    ", "\n     ".join(found))
