"""``spark-cache encrypt`` and ``decrypt``."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

KEY = Fernet.generate_key().decode()


def plain_files(folder):
    """Return the entries that can be read without a key."""
    return [path for path in folder.glob("*/*/*.json") if "token" not in json.loads(path.read_bytes())]


def test_encrypt_leaves_no_plain_entry(command, store, development):
    """Each plain entry is replaced by an encrypted one with the same response."""
    path = store("Paris.")
    store("London.", encryption="all", encryption_keys=KEY)
    result = command("encrypt", SPARK_CACHE_ENCRYPTION_KEY=KEY)
    assert (result.exit_code, result.output) == (0, "encrypted 1 entry\n")
    assert plain_files(development) == []
    assert command("show", path.stem, SPARK_CACHE_ENCRYPTION_KEY=KEY).stdout.endswith("\nParis.\n")


def test_encrypt_needs_a_key(command, store):
    """Without a key, nothing is changed."""
    path = store("Paris.")
    result = command("encrypt")
    assert (result.exit_code, path.exists()) == (2, True)


@pytest.mark.parametrize(("answer", "decrypted"), [("y\n", True), ("n\n", False), ("", False)])
def test_decrypt_asks_first(development, store, answer, decrypted):
    """Entries are decrypted only after a yes. No input counts as a no."""
    from click.testing import CliRunner  # noqa: PLC0415 - the fixture gives no input

    from spark_cache.cli import main  # noqa: PLC0415 - the same

    store("Paris.", encryption="all", encryption_keys=KEY)
    environment = {"SPARK_CACHE_ENCRYPTION_KEY": KEY}
    result = CliRunner().invoke(main, ["decrypt"], input=answer, env=environment)
    assert result.exit_code == (0 if decrypted else 1)
    assert len(plain_files(development)) == decrypted


def test_decrypt_gives_back_the_plain_file(command, store, development):
    """After encryption and decryption, a file has the same bytes as before."""
    path = store("Paris.")
    before = path.read_bytes()
    command("encrypt", SPARK_CACHE_ENCRYPTION_KEY=KEY)
    result = command("decrypt", "--yes", SPARK_CACHE_ENCRYPTION_KEY=KEY)
    assert result.output == "decrypted 1 entry\n"
    assert path.read_bytes() == before


def test_decrypt_keeps_what_must_be_encrypted(command, store, development):
    """Entries stay encrypted if the configuration would not use them as plain text."""
    store("Paris.", encryption="all", encryption_keys=KEY)
    environment = {"SPARK_CACHE_ENCRYPTION_KEY": KEY, "SPARK_CACHE_ENCRYPTION": "all"}
    result = command("decrypt", "--yes", **environment)
    assert result.exit_code == 0
    assert "left 1 encrypted: the configuration requires encryption for their models" in result.output
    assert plain_files(development) == []


def test_a_newer_entry_supersedes_an_older_one(command, store, development):
    """If a newer entry of the same key is already encrypted, the plain one is removed."""
    path = store("Paris.", key="ab" * 32, age=60)
    before = path.read_bytes()
    store("Paris!", key="ab" * 32, encryption="all", encryption_keys=KEY)
    path.write_bytes(before)
    result = command("encrypt", SPARK_CACHE_ENCRYPTION_KEY=KEY)
    assert result.output == "encrypted 0 entries\nremoved 1 because a newer entry exists\n"
    assert command("show", "ab" * 32, SPARK_CACHE_ENCRYPTION_KEY=KEY).stdout.endswith("\nParis!\n")
