"""``python -m spark_cache.testing.standin``: the stand-in provider in a terminal of its own."""

from __future__ import annotations

import argparse
import threading

from spark_cache.testing.standin import StandInProvider

__all__ = ["main"]


def main() -> None:
    """Serve until the program is interrupted; say first what to tell the programs that shall use it."""
    parser = argparse.ArgumentParser(
        prog="python -m spark_cache.testing.standin", description="Play a model provider on this machine."
    )
    parser.add_argument("--port", type=int, default=0, help="the port; without it a free one")
    arguments = parser.parse_args()
    with StandInProvider(port=arguments.port) as provider:
        print(f"export OPENAI_BASE_URL={provider.base_url} OPENAI_API_KEY=stand-in", flush=True)  # noqa: T201 - what to type
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
