"""``spark-cache warm``: call the provider for the requests that are not cached yet."""

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
@click.option(
    "--provider", type=click.Choice(tuple(_MODELS)), required=True, help="The provider of the model."
)
@click.option("--model", "model_id", metavar="NAME", required=True, help="The model to call.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="The maximum number of concurrent calls.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what is missing and what it would cost, without calling the provider.",
)
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
    """Fill the cache with the responses to the requests in FILE.

    FILE contains one JSON request per line: a string, a list of messages, or an object with the arguments of get_text.
    Requests that are already cached are skipped, so an interrupted warm-up continues where it stopped.
    """
    requests = _requests(file)
    model = _model(cache, provider, model_id)
    if dry_run:
        _show_estimate(_estimate(model, requests), as_json=as_json)
        return
    result = asyncio.run(_warm(model, requests, concurrency))
    _show_warm_up(result, file, as_json=as_json)
    if result.failures or result.unstored:
        raise SystemExit(1)


def _model(cache: CacheManager, provider: str, model_id: str) -> Model:
    from spark_cache import models  # noqa: PLC0415 - see open_cache

    model: Model = getattr(models, _MODELS[provider])(model_id, cache_config=cache.config)
    return model


def _requests(file: str) -> list[Any]:
    """Read and check all requests of a file, so that an invalid one is found before the others cost anything."""
    from spark_cache.warmup import arguments_of  # noqa: PLC0415 - see open_cache

    requests = []
    for number, line in _lines(file):
        try:
            request = json.loads(line)
            arguments_of(request)
        except ValueError as error:
            raise click.UsageError(f"{file}:{number}: invalid JSON: {error}") from error
        except TypeError as error:
            raise click.UsageError(f"{file}:{number}: {error}") from error
        requests.append(request)
    return requests


def _lines(file: str) -> Iterator[tuple[int, str]]:
    try:
        with open(file, encoding="utf-8-sig") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {file}: {error}") from error


async def _warm(model: Model, requests: list[Any], concurrency: int) -> WarmUp:
    from spark_cache.warmup import warm  # noqa: PLC0415 - see open_cache

    with progress(f"Calling {model.model_id}", len(requests)) as step:
        async with model:
            return await warm(model, requests, concurrency=concurrency, on_progress=lambda _: step())


def _estimate(model: Model, requests: list[Any]) -> Estimate:
    from spark_cache.warmup import estimate  # noqa: PLC0415 - see open_cache

    with progress("Checking the cache", len(requests)) as step:
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
    click.echo(f"input   about {_tokens(found.input_tokens)}, by the length of the text")
    if found.attachments:
        click.echo(
            f"        without the images and documents in {counted(found.attachments, 'request', 'requests')}"
        )
    if found.output_tokens is not None:
        click.echo(f"output  about {_tokens(found.output_tokens)}, if as long as the cached responses")
    if found.most_output_tokens is not None:
        click.echo(f"output  at most {_tokens(found.most_output_tokens)}, by the limits of the requests")
    elif found.output_tokens is None:
        click.echo("output  unknown: no response is cached, and not every request has a limit")
    click.echo(f"cost    {_cost(found)}")


def _cost(found: Estimate) -> str:
    if found.dollars is None:
        return "unknown: the price table does not include the model"
    some = "about" if found.output_tokens is not None else "for the input only, about"
    most = "" if found.most_dollars is None else f", at most about ${found.most_dollars:,.4f}"
    return f"{some} ${found.dollars:,.4f}{most}, by the list price"


def _show_warm_up(result: WarmUp, file: str, *, as_json: bool) -> None:
    numbers = [number for number, _ in _lines(file)]
    failed = [
        {
            "line": numbers[failure.position],
            "error": f"{type(failure.error).__name__}: {_short(failure.error)}",
        }
        for failure in result.failures
    ]
    if as_json:
        names = (
            "cached", "stored", "unstored", "gave_up", "input_tokens", "output_tokens", "dollars", "unpriced", "seconds",
        )  # fmt: skip
        print_json({name: getattr(result, name) for name in names} | {"failures": failed})
        return
    calls = result.stored + result.unstored
    click.echo(
        f"{result.stored:,} stored, {result.cached:,} already cached, in {seconds_text(result.seconds)}"
    )
    if calls:
        unknown = (
            f", with {counted(result.unpriced, 'call', 'calls')} of unknown price" if result.unpriced else ""
        )
        click.echo(
            f"{_tokens(result.input_tokens)} of input, {result.output_tokens:,} of output: ${result.dollars:,.4f}{unknown}"
        )
    if result.unstored:
        click.echo(f"{counted(result.unstored, 'response', 'responses')} not stored")
    if failed:
        click.echo(f"{len(failed):,} failed")
    for failure in failed[:_SHOWN_FAILURES]:
        click.echo(f"  {file}:{failure['line']}: {harmless(str(failure['error']))}")
    if result.gave_up:
        click.echo("gave up after too many failures in a row")


def _tokens(number: int) -> str:
    return counted(number, "token", "tokens")


def _short(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
