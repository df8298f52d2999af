"""Create ``demo.svg`` next to this file: the first part of the output of ``spark-cache demo``, from a real run.

Run it from the environment of the checkout: ``.venv/bin/python docs/images/make_demo_picture.py``.
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from pathlib import Path

import openai
from rich.console import Console

from spark_cache.cli.demo import open_service
from spark_cache.cli.demo_report import print_opening, print_profile
from spark_cache.cli.demo_run import PROFILES, run_profile
from spark_cache.cli.progress import progress

_REMOTE_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Web fonts are removed, because a picture in a page must not fetch anything."""


async def _run_demo(console: Console, folder: Path) -> None:
    with open_service(openai, live=False) as (service, answered_by):
        print_opening(console, answered_by)
        for profile in PROFILES:
            print_profile(console, await run_profile(profile, folder, service, progress), folder)


def main() -> None:
    """Run the demo and draw its output."""
    console = Console(record=True, width=80, file=io.StringIO(), highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run_demo(console, Path(folder)))
    drawn = _REMOTE_FONT.sub("", console.export_svg(title="make demo", unique_id="demo"))
    lines = (line.rstrip() for line in drawn.splitlines())
    picture = Path(__file__).with_name("demo.svg")
    picture.write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
