"""``spark-cache encrypt`` and ``decrypt``: convert the entries of an existing cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spark_cache.cli.cache import with_cache
from spark_cache.cli.moving import report, required_ring, with_progress

if TYPE_CHECKING:
    from spark_cache.entries import CacheEntry
    from spark_cache.manager import CacheManager

__all__ = ["decrypt_command", "encrypt_command"]


@click.command("encrypt")
@with_cache
def encrypt_command(cache: CacheManager, as_json: bool) -> None:
    """Encrypt every plain entry with the first encryption key.

    The plain files are removed, but their disk blocks are not wiped. Programs may use the cache during the run.
    """
    from spark_cache.maintenance.rotation import encrypt  # noqa: PLC0415 - see open_cache

    ring = required_ring(cache)
    done = with_progress("Encrypting entries", cache, lambda store, step: encrypt(store, ring, step=step))
    report(done, "encrypted", as_json=as_json)


@click.command("decrypt")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_cache
def decrypt_command(cache: CacheManager, yes: bool, as_json: bool) -> None:
    """Rewrite encrypted entries as plain text.

    Afterwards, anyone who can read the file of an entry can read its content. Entries stay encrypted where the
    configuration requires it, through encryption = "all" or a rule.
    """
    from spark_cache.core.plan import must_encrypt  # noqa: PLC0415 - see open_cache
    from spark_cache.maintenance.rotation import decrypt  # noqa: PLC0415 - the same

    def may_be_plain(entry: CacheEntry) -> bool:
        policy = cache.config.policy(entry.provider, entry.model_id)
        return not must_encrypt(policy, sensitive=False)

    ring = required_ring(cache)
    if not yes:
        question = f"Write the encrypted prompts and responses in {cache.cache_dir} as plain text?"
        click.confirm(question, abort=True, err=True)
    done = with_progress(
        "Decrypting entries",
        cache,
        lambda store, step: decrypt(store, ring, may_be_plain=may_be_plain, step=step),
    )
    report(done, "decrypted", as_json=as_json)
