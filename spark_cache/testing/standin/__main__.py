"""Run the stand-in provider in a terminal: ``python -m spark_cache.testing.standin``."""

from __future__ import annotations

import argparse
import threading

from spark_cache.testing.standin import StandInProvider

__all__ = ["main"]


def main() -> None:
    """Print the environment variables that clients need, then serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m spark_cache.testing.standin",
        description="Run a stand-in model provider on the local machine.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: any free port)")
    arguments = parser.parse_args()
    with StandInProvider(port=arguments.port) as provider:
        print(f"export OPENAI_BASE_URL={provider.base_url} OPENAI_API_KEY=stand-in", flush=True)  # noqa: T201 - the line to paste into a shell
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
