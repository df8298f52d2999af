"""``spark-cache demo``: the library at work, in some ten seconds, on this machine."""

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
    "the demo calls a stand-in provider through OpenAI's SDK, which is not installed: "
    "pip install 'spark-cache[openai]'"
)
_STAND_IN = (
    "A stand-in on this machine answers, with the delay of a real service: no model is asked, no key is needed, "
    "and tokens are counted by a simple rule."
)
_PROJECT = "# Makes this folder a project of its own: relative cache directories of profiles lie in it.\n"


class _MisuseError(click.ClickException):
    exit_code = 2


@click.command("demo")
@click.option(
    "--live", is_flag=True, help="Ask OpenAI itself, under the key in OPENAI_API_KEY. Costs a little."
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to work in, new or empty; else a new temporary one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def demo_command(live: bool, directory: Path | None, as_json: bool) -> None:
    """See what the cache does: the same questions twice, under three profiles.

    The answers come from a stand-in provider that runs on this machine: no key, no network, no cost.
    """
    from rich.console import Console  # noqa: PLC0415 - 100 ms that other commands do not need

    try:
        # Before the clock runs: the first call would import it.
        sdk = import_module("openai")
    except ImportError:
        raise _MisuseError(_NO_SDK) from None
    if live and not os.environ.get("OPENAI_API_KEY"):
        raise _MisuseError("--live needs an API key of OpenAI in OPENAI_API_KEY")
    folder = _folder(directory)
    console = Console(highlight=False, quiet=as_json)
    console.width = min(console.width, _WIDTH)
    try:
        with open_service(sdk, live=live) as (service, answered_by):
            figures = run_demo(console, folder, service, answered_by)
    except sdk.OpenAIError as error:
        raise click.ClickException(f"the service did not answer: {error}") from None
    if as_json:
        print_json({"service": "live" if live else "stand-in", **figures})


def run_demo(console: Console, folder: Path, service: DemoService, answered_by: str) -> dict[str, Any]:
    """Run the demo, and tell it as it goes.

    Args:
        console: Where it is told.
        folder: An empty folder; nothing is written outside it.
        service: Where calls go.
        answered_by: A sentence that says so.

    Returns:
        Its figures, as JSON values.

    Raises:
        ClickException: The cache did not do its work.
    """
    # Rich and pydantic take 200 ms: not for --help.
    from spark_cache.cli import demo_report as report  # noqa: PLC0415 - see above
    from spark_cache.cli.demo_run import PROFILES, recorded_events, run_profile  # noqa: PLC0415 - see above
    from spark_cache.manager import CacheManager  # noqa: PLC0415 - see above

    (folder / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    report.tell_opening(console, answered_by)
    report.tell_folder(console, folder)

    async def run_all() -> list[ProfileRun]:
        runs = []
        for profile in PROFILES:
            run = await run_profile(profile, folder, service, progress)
            report.tell_profile(console, run, folder)
            runs.append(run)
        return runs

    with recorded_events() as records:
        runs = asyncio.run(run_all())
    if any(run.second.calls for run in runs if run.config.enabled):
        raise click.ClickException("not every second answer came from the cache; the warnings above say why")
    entry = find_entry(CacheManager.shared(runs[0].config), str(runs[0].first.responses[0].cache_key))
    log = _log_of(entry, records)
    report.tell_entry(console, entry)
    report.tell_log(console, log)
    report.tell_ways_on(console, folder, runs[0].cache_dir, entry)
    return report.figures(folder, runs, entry, log)


def _folder(directory: Path | None) -> Path:
    """The folder to work in, which exists and is empty."""
    try:
        if directory is None:
            return Path(tempfile.mkdtemp(prefix="spark-cache-demo-"))
        folder = directory.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise _MisuseError(
                f"{folder} is not empty: name a new folder, so that nothing of yours is touched"
            )
    except OSError as error:
        raise _MisuseError(f"cannot work in {directory or tempfile.gettempdir()}: {error.strerror}") from None
    return folder


@contextmanager
def open_service(sdk: Any, *, live: bool) -> Iterator[tuple[DemoService, str]]:
    """Where calls go, and a sentence that says so.

    Args:
        sdk: The module ``openai``.
        live: Whether they go to the real service; else a stand-in runs within the ``with`` block.
    """
    from spark_cache.cli.demo_run import MODEL, DemoService  # noqa: PLC0415 - see run_demo
    from spark_cache.testing import StandInProvider  # noqa: PLC0415 - the same

    if live:
        click.echo(_expected_cost(), err=True)
        departed: list[object] = []

        async def note(request: object) -> None:
            departed.append(request)

        client = partial(sdk.DefaultAsyncHttpxClient, event_hooks={"request": [note]})
        yield DemoService({}, client, lambda: len(departed)), f"OpenAI's {MODEL} answers, and is paid."
        return
    with StandInProvider(latency_seconds=_LATENCY) as provider:
        args = {"base_url": provider.base_url, "api_key": "stand-in"}
        # Straight to this machine, whatever proxy the environment names, and without loading certificates for plain HTTP.
        no_certificates = SSLContext(PROTOCOL_TLS_CLIENT)
        client = partial(sdk.DefaultAsyncHttpxClient, trust_env=False, verify=no_certificates)
        yield DemoService(args, client, lambda: provider.calls), _STAND_IN


def _expected_cost() -> str:
    """What a live run can cost at most."""
    from spark_cache.cli.demo_run import MAX_TOKENS, MODEL, PROFILES, QUESTIONS, SYSTEM_PROMPT  # noqa: PLC0415 - see run_demo
    from spark_cache.models import Usage  # noqa: PLC0415 - the same
    from spark_cache.savings.prices import price  # noqa: PLC0415 - the same

    # Under the last profile nothing is cached, so both passes go out.
    rounds = len(PROFILES) + 1
    # A token is at least a character, and roles and separators are a few more.
    asked = rounds * sum(len(SYSTEM_PROMPT) + len(question) + 20 for question in QUESTIONS)
    answered = rounds * len(QUESTIONS) * MAX_TOKENS
    cost = price("openai", MODEL, Usage(asked, answered, asked + answered))
    most = (
        "at a price that is not known"
        if cost is None
        else f"which cost at most ${ceil(cost * 100) / 100:.2f}"
    )
    return f"{rounds * len(QUESTIONS)} calls go to {MODEL}, {most}."


def _log_of(entry: Path, records: list[logging.LogRecord]) -> dict[str, str]:
    """The log lines of the first miss and the first hit on an entry."""
    found = {
        str(getattr(record, "event", "")): record.getMessage()
        for record in reversed(records)  # so that the first of each stays
        if entry.stem.startswith(getattr(record, "key", None) or "-")
    }
    return {"miss": found["cache.miss"], "hit": found["cache.hit"]}
