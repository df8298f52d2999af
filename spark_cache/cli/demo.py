"""``spark-cache demo``: show the cache at work against a local stand-in provider, in about ten seconds."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from math import ceil
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import TYPE_CHECKING, Any, Literal

import click

from spark_cache.cli.cache import find_entry
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from rich.console import Console

    from spark_cache.cli.demo_run import DemoService, ProfileRun

__all__ = ["demo_command", "open_service", "run_demo"]

_LATENCY: float | Literal["realistic"] = "realistic"
_WIDTH = 80
_NO_SDK = (
    "the demo calls a stand-in provider through the OpenAI SDK, which is not installed: "
    "pip install 'spark-cache[openai]'"
)
_STAND_IN = (
    "A stand-in provider on this machine answers with the delay of a real service. No model is called, no API key "
    "is needed, and tokens are counted by a simple rule."
)
_PROJECT = "# Marks this folder as a project, so that relative cache directories are created in it.\n"


class _MisuseError(click.ClickException):
    exit_code = 2


@click.command("demo")
@click.option(
    "--live", is_flag=True, help="Call OpenAI with the key in OPENAI_API_KEY. The calls are billed."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Use this new or empty folder instead of a temporary one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def demo_command(live: bool, directory: Path | None, as_json: bool) -> None:
    """Ask the same questions twice under three profiles.

    The output compares API calls, time and tokens. A stand-in provider on this machine answers, so the demo needs no
    API key and no network, and costs nothing.
    """
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms, which other commands do not need

    try:
        # Imported before timing starts. Otherwise the first call would include the import.
        sdk = import_module("openai")
    except ImportError:
        raise _MisuseError(_NO_SDK) from None
    if live and not os.environ.get("OPENAI_API_KEY"):
        raise _MisuseError("--live requires an OpenAI API key in OPENAI_API_KEY")
    folder = _folder(directory)
    console = Console(highlight=False, quiet=as_json)
    console.width = min(console.width, _WIDTH)
    try:
        with open_service(sdk, live=live) as (service, answered_by):
            figures = run_demo(console, folder, service, answered_by)
    except sdk.OpenAIError as error:
        raise click.ClickException(f"the API call failed: {error}") from None
    if as_json:
        print_json({"service": "live" if live else "stand-in", **figures})


def run_demo(console: Console, folder: Path, service: DemoService, answered_by: str) -> dict[str, Any]:
    """Run the demo and print the results as it goes.

    Args:
        console: The console to print to.
        folder: An empty folder. Nothing is written outside it.
        service: The provider that receives the calls.
        answered_by: A sentence that describes the provider.

    Returns:
        The figures of the demo, as JSON values.

    Raises:
        ClickException: Caching is on, but the second pass made API calls.
    """
    # Imported here because rich and pydantic take 200 ms, which --help does not need.
    from spark_cache.cli import demo_report as report  # noqa: PLC0415 - see above
    from spark_cache.cli.demo_run import PROFILES, recorded_events, run_profile  # noqa: PLC0415 - see above
    from spark_cache.manager import CacheManager  # noqa: PLC0415 - see above

    (folder / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    report.print_opening(console, answered_by)
    report.print_folder(console, folder)

    async def run_all() -> list[ProfileRun]:
        runs = []
        for profile in PROFILES:
            run = await run_profile(profile, folder, service, progress)
            report.print_profile(console, run, folder)
            runs.append(run)
        return runs

    with recorded_events() as records:
        runs = asyncio.run(run_all())
    if any(run.second.calls for run in runs if run.config.enabled):
        raise click.ClickException(
            "the second pass made API calls although caching is on; see the warnings above"
        )
    entry = find_entry(CacheManager.shared(runs[0].config), str(runs[0].first.responses[0].cache_key))
    log = _log_of(entry, records)
    report.print_entry(console, entry)
    report.print_log(console, log)
    report.print_next_steps(console, folder, runs[0].cache_dir, entry)
    return report.figures(folder, runs, entry, log)


def _folder(directory: Path | None) -> Path:
    """Return the folder to work in, which exists and is empty."""
    try:
        if directory is None:
            return Path(tempfile.mkdtemp(prefix="spark-cache-demo-"))
        folder = directory.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise _MisuseError(
                f"{folder} is not empty: name a new folder, so that the demo leaves your files alone"
            )
    except OSError as error:
        raise _MisuseError(f"cannot use {directory or tempfile.gettempdir()}: {error.strerror}") from None
    return folder


@contextmanager
def open_service(sdk: Any, *, live: bool) -> Iterator[tuple[DemoService, str]]:
    """Open the provider that receives the calls.

    Args:
        sdk: The module ``openai``.
        live: Whether to call OpenAI. If False, a stand-in provider runs within the ``with`` block.

    Yields:
        The provider, and a sentence that describes it.
    """
    from spark_cache.cli.demo_run import MODEL, DemoService  # noqa: PLC0415 - see run_demo
    from spark_cache.testing import StandInProvider  # noqa: PLC0415 - the same

    if live:
        click.echo(_expected_cost(), err=True)
        sent: list[object] = []

        async def count_request(request: object) -> None:
            sent.append(request)

        client = partial(sdk.DefaultAsyncHttpxClient, event_hooks={"request": [count_request]})
        yield (
            DemoService({}, client, lambda: len(sent)),
            f"OpenAI's {MODEL} answers, and its calls are billed.",
        )
        return
    with StandInProvider(latency_seconds=_LATENCY) as provider:
        args = {"base_url": provider.base_url, "api_key": "stand-in"}
        # Proxies of the environment are ignored, and plain HTTP needs no certificates, which are slow to load.
        no_certificates = SSLContext(PROTOCOL_TLS_CLIENT)
        client = partial(sdk.DefaultAsyncHttpxClient, trust_env=False, verify=no_certificates)
        yield DemoService(args, client, lambda: provider.calls), _STAND_IN


def _expected_cost() -> str:
    """Return a sentence with the number of calls of a live run and their maximum cost."""
    from spark_cache.cli.demo_run import MAX_TOKENS, MODEL, PROFILES, QUESTIONS, SYSTEM_PROMPT  # noqa: PLC0415 - see run_demo
    from spark_cache.models import Usage  # noqa: PLC0415 - the same
    from spark_cache.savings.prices import price  # noqa: PLC0415 - the same

    # Under the last profile nothing is cached, so both passes call the provider.
    rounds = len(PROFILES) + 1
    # A token has at least one character. The 20 covers roles and separators.
    input_tokens = rounds * sum(len(SYSTEM_PROMPT) + len(question) + 20 for question in QUESTIONS)
    output_tokens = rounds * len(QUESTIONS) * MAX_TOKENS
    cost = price("openai", MODEL, Usage(input_tokens, output_tokens, input_tokens + output_tokens))
    most = "The cost is unknown" if cost is None else f"They cost at most ${ceil(cost * 100) / 100:.2f}"
    return f"This run makes {rounds * len(QUESTIONS)} calls to {MODEL}. {most}."


def _log_of(entry: Path, records: list[logging.LogRecord]) -> dict[str, str]:
    """Return the log lines of the first miss and the first hit on an entry."""
    found = {
        str(getattr(record, "event", "")): record.getMessage()
        for record in reversed(records)  # keeps the first of each event
        if entry.stem.startswith(getattr(record, "key", None) or "-")
    }
    return {"miss": found["cache.miss"], "hit": found["cache.hit"]}
