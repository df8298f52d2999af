"""``spark-cache rm``, ``cleanup`` and ``clear``: remove entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import find_entry, with_cache
from spark_cache.cli.output import print_json
from spark_cache.cli.progress import progress
from spark_cache.cli.text import counted

if TYPE_CHECKING:
    from spark_cache.manager import CacheManager

__all__ = ["cleanup_command", "clear_command", "rm_command"]


@click.command("rm")
@click.argument("key")
@with_cache
@click.pass_context
def rm_command(ctx: click.Context, cache: CacheManager, key: str, as_json: bool) -> None:
    """Remove one entry.

    KEY is the name of the entry's file, a prefix of it, or the key that the entry was stored under.
    """
    path = find_entry(cache, key)
    if not cache.remove_entry(path.stem):
        click.echo(f"{path} is not an entry of this cache, so it was not removed", err=True)
        ctx.exit(1)
    if as_json:
        print_json({"removed": 1, "path": str(path)})
    else:
        click.echo(f"removed {path}")


@click.command("cleanup")
@click.option("--provider", metavar="NAME", help="Remove only entries of this provider.")
@with_cache
def cleanup_command(cache: CacheManager, provider: str | None, as_json: bool) -> None:
    """Remove expired entries.

    An entry expires when the TTL that it was stored with has passed.
    """
    with progress("Looking for expired entries"):
        removed = cache.cleanup_expired(provider)
    _report(cache, removed, as_json=as_json)


@click.command("clear")
@click.option("--provider", metavar="NAME", help="Remove the entries of this provider.")
@click.option("--model", metavar="NAME", help="Remove only the entries of this model; requires --provider.")
@click.option("--all", "everything", is_flag=True, help="Remove every entry.")
@with_cache
def clear_command(
    cache: CacheManager, provider: str | None, model: str | None, everything: bool, as_json: bool
) -> None:
    """Remove all entries, or those of one provider or model.

    This command does not ask for confirmation.
    """
    if everything == (provider is not None) or (model is not None and provider is None):
        raise click.UsageError(
            "specify what to remove: --all, or --provider NAME, or --provider NAME --model NAME"
        )
    with progress("Removing entries"):
        if provider is None:
            removed = cache.clear_all()
        elif model is None:
            removed = cache.clear_provider(provider)
        else:
            removed = cache.clear_model(provider, model)
    _report(cache, removed, as_json=as_json)


def _report(cache: CacheManager, removed: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"removed": removed, "cache_dir": str(cache.cache_dir)})
    else:
        click.echo(f"removed {counted(removed, 'entry', 'entries')} from {cache.cache_dir}")
