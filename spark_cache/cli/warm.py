"""``spark-cache warm``: ask what the cache cannot answer yet."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from spark_cache.cli.cache import with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted, harmless, seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.manager import CacheManager
    from spark_cache.models import Model
    from spark_cache.warmup import Estimate, WarmUp

__all__ = ["warm_command"]

_MODELS = {
    "anthropic": "AnthropicModel",
    "bedrock": "BedrockModel",
    "gemini": "GeminiModel",
    "openai": "OpenAIModel",
}
_SHOWN_FAILURES = 10
_SHOWN_CHARACTERS = 300


@click.command("warm")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=str))
@click.option("--provider", type=click.Choice(tuple(_MODELS)), required=True, help="Whose model it is.")
@click.option("--model", "model_id", metavar="NAME", required=True, help="The model that is asked.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="How many calls are under way at once.",
)
@click.option("--dry-run", is_flag=True, help="Say what is missing and what it would cost; ask nothing.")
@with_cache
def warm_command(
    cache: CacheManager,
    file: str,
    provider: str,
    model_id: str,
    concurrency: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ask the requests in FILE that the cache cannot answer yet, and store the answers.

    FILE has one request a line, as JSON: a text, a list of messages, or the arguments of get_text by name. What is cached is
    passed over, so a warm-up that was broken off goes on where it stopped.
    """
    requests = _requests(file)
    model = _model(cache, provider, model_id)
    if dry_run:
        _show_estimate(_estimate(model, requests), as_json=as_json)
        return
    ended = asyncio.run(_warm(model, requests, concurrency))
    _show_warm_up(ended, file, as_json=as_json)
    if ended.failures or ended.unstored:
        raise SystemExit(1)


def _model(cache: CacheManager, provider: str, model_id: str) -> Model:
    from spark_cache import models  # noqa: PLC0415 - see open_cache

    model: Model = getattr(models, _MODELS[provider])(model_id, cache_config=cache.config)
    return model


def _requests(file: str) -> list[Any]:
    """The requests of a file, each checked: one that is wrong is better found before the others are paid for."""
    from spark_cache.warmup import arguments_of  # noqa: PLC0415 - see open_cache

    requests = []
    for number, line in _lines(file):
        try:
            request = json.loads(line)
            arguments_of(request)
        except ValueError as error:
            raise click.UsageError(f"{file}:{number}: is not JSON: {error}") from error
        except TypeError as error:
            raise click.UsageError(f"{file}:{number}: {error}") from error
        requests.append(request)
    return requests


def _lines(file: str) -> Iterator[tuple[int, str]]:
    try:
        with open(file, encoding="utf-8-sig") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file}: cannot be read: {error}") from error


async def _warm(model: Model, requests: list[Any], concurrency: int) -> WarmUp:
    from spark_cache.warmup import warm  # noqa: PLC0415 - see open_cache

    with progress(f"Asking {model.model_id}", len(requests)) as step:
        async with model:
            return await warm(model, requests, concurrency=concurrency, on_progress=lambda _: step())


def _estimate(model: Model, requests: list[Any]) -> Estimate:
    from spark_cache.warmup import estimate  # noqa: PLC0415 - see open_cache

    with progress("Looking into the cache", len(requests)) as step:
        return estimate(model, requests, on_progress=step)


def _show_estimate(found: Estimate, *, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415 - see open_cache

    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"{found.missing:,} missing, {found.cached:,} cached")
    if found.uncacheable:
        click.echo(f"{found.uncacheable:,} cannot be cached")
    if not found.missing:
        return
    click.echo(f"input   about {_tokens(found.input_tokens)}, by the length of the texts")
    if found.attachments:
        click.echo(
            f"        without the images and documents of {counted(found.attachments, 'request', 'requests')}"
        )
    if found.output_tokens is not None:
        click.echo(f"output  about {_tokens(found.output_tokens)}, if as long as the cached answers")
    if found.most_output_tokens is not None:
        click.echo(f"output  at most {_tokens(found.most_output_tokens)}, by the limits of the requests")
    elif found.output_tokens is None:
        click.echo("output  not known: no answer is cached, and not every request has a limit")
    click.echo(f"cost    {_cost(found)}")


def _cost(found: Estimate) -> str:
    if found.dollars is None:
        return "not known: the price table has no such model"
    some = "about" if found.output_tokens is not None else "for the input alone about"
    most = "" if found.most_dollars is None else f", at most about ${found.most_dollars:,.4f}"
    return f"{some} ${found.dollars:,.4f}{most}, by the list price"


def _show_warm_up(ended: WarmUp, file: str, *, as_json: bool) -> None:
    numbers = [number for number, _ in _lines(file)]
    failed = [
        {
            "line": numbers[failure.position],
            "error": f"{type(failure.error).__name__}: {_short(failure.error)}",
        }
        for failure in ended.failures
    ]
    if as_json:
        names = (
            "cached", "stored", "unstored", "gave_up", "input_tokens", "output_tokens", "dollars", "unpriced", "seconds",
        )  # fmt: skip
        print_json({name: getattr(ended, name) for name in names} | {"failures": failed})
        return
    calls = ended.stored + ended.unstored
    click.echo(f"{ended.stored:,} stored, {ended.cached:,} cached before, in {seconds_text(ended.seconds)}")
    if calls:
        unknown = (
            f", the price of {counted(ended.unpriced, 'call', 'calls')} unknown" if ended.unpriced else ""
        )
        click.echo(
            f"{_tokens(ended.input_tokens)} of input, {ended.output_tokens:,} of output: ${ended.dollars:,.4f}{unknown}"
        )
    if ended.unstored:
        click.echo(f"{counted(ended.unstored, 'answer', 'answers')} may not be stored")
    if failed:
        click.echo(f"{len(failed):,} failed")
    for failure in failed[:_SHOWN_FAILURES]:
        click.echo(f"  {file}:{failure['line']}: {harmless(str(failure['error']))}")
    if ended.gave_up:
        click.echo("gave up, as one request after another failed")


def _tokens(number: int) -> str:
    return counted(number, "token", "tokens")


def _short(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
