"""``spark-cache verify``."""

from __future__ import annotations

import json
import os
import time

import pytest
from cryptography.fernet import Fernet

from spark_cache import CacheConfig, CacheManager
from spark_cache.core.entry_format import ENTRY_FORMAT
from spark_cache.maintenance.verify import accept, move_aside, verify
from spark_cache.stores import FileStore


@pytest.fixture
def entries(store):
    return [store(f"answer {number}") for number in range(4)]


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def _cut_head(path):
    path.write_bytes(path.read_bytes()[:40])


def _zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def _rename(path):
    path.rename(path.with_name("0" * 64 + ".json"))


def _other_model(path):
    elsewhere = path.parent.with_name("gpt-4o-mini")
    elsewhere.mkdir()
    path.rename(elsewhere / path.name)


def _edit_key(path):
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "key": "0" * 64}))


def _empty(path):
    path.write_bytes(b"")


def _edit(path):
    path.write_bytes(path.read_bytes().replace(b"answer 0", b"my edit"))


_DAMAGE = {
    "cut": (_cut, "corrupt"),
    "cut in its head": (_cut_head, "corrupt"),
    "empty": (_empty, "corrupt"),
    "NUL bytes": (_zero, "corrupt"),
    "renamed": (_rename, "wrong_key"),
    "under another model": (_other_model, "wrong_key"),
    "with another key inside": (_edit_key, "wrong_key"),
    "edited": (_edit, "edited"),
}


def test_intact_entries(command, entries):
    """A cache without a bad entry is reported as such."""
    result = command("verify")
    assert (result.exit_code, result.stdout) == (0, f"{len(entries)} entries intact, 0 bad\n")


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_bad_entry_is_named(command, entries, damage):
    """Every kind of damage is found and listed with its reason. The file is not moved."""
    damaging, reason = _DAMAGE[damage]
    damaging(entries[0])
    before = sorted(entries[0].parent.parent.rglob("*.json"))

    result = command("verify")

    assert result.exit_code == 1
    assert reason in result.stdout
    assert f"{len(entries) - 1} entries intact, 1 bad" in result.stdout
    assert sorted(entries[0].parent.parent.rglob("*.json")) == before


@pytest.mark.parametrize("damage", _DAMAGE)
def test_repair_moves_a_bad_entry_aside(command, development, entries, damage):
    """A repair moves only the bad entry into the hidden folder, and the next check finds nothing."""
    damaging, reason = _DAMAGE[damage]
    damaging(entries[0])

    result = json.loads(command("verify", "--repair", "--json").stdout)

    (bad,) = result["bad"]
    assert (bad["reason"], result["sound"]) == (reason, len(entries) - 1)
    assert bad["moved_to"].startswith(str(development / ".spark-cache" / "aside"))
    assert os.path.exists(bad["moved_to"])
    assert not os.path.exists(bad["path"])
    assert command("verify").exit_code == 0


@pytest.mark.parametrize("content", [b"notes", b"[]", b'{"name": "package"}'])
def test_a_foreign_file_is_left_alone(command, entries, content):
    """A file that was never an entry is not bad, and a repair does not move it."""
    entries[0].write_bytes(content)

    result = command("verify", "--repair")

    assert (result.exit_code, result.stdout) == (0, "3 entries intact, 0 bad\n")
    assert entries[0].read_bytes() == content


def test_an_entry_of_a_later_release_is_left_alone(command, entries):
    """An entry of a later release is not bad, and a repair does not move it."""
    document = json.loads(entries[0].read_bytes())
    entries[0].write_text(json.dumps({**document, "schema": 99}))

    result = command("verify", "--repair")

    assert (result.exit_code, result.stdout) == (0, "3 entries intact, 0 bad, 1 of a later release\n")
    assert entries[0].exists()


def test_an_entry_that_replaced_a_bad_one_is_kept(development, entries):
    """An entry that a program stores between the check and the repair is not moved aside."""
    whole = entries[0].read_bytes()
    _cut(entries[0])
    store = FileStore(
        str(development),
        clock=time.time,
        commit_entries=False,
        entry_format=ENTRY_FORMAT,
        on_removed=print,
    )
    (bad,) = verify(store, None, step=lambda: None).bad
    entries[0].write_bytes(whole)

    assert move_aside(store, bad) is None
    assert entries[0].read_bytes() == whole


@pytest.fixture
def encrypted(development):
    """Two encrypted entries and their encryption key."""
    key = Fernet.generate_key().decode()
    manager = CacheManager(
        CacheConfig(enabled=True, cache_dir=development, encryption="all", encryption_keys=key)
    )
    for number in range(2):
        cache_key = manager.generate_cache_key("openai", "gpt-4o", [{"role": "user", "content": str(number)}])
        response = {"content": str(number), "stop_reason": "end_turn", "usage": None}
        assert manager.set(cache_key, "openai", "gpt-4o", {}, response)
    return sorted(development.glob("openai/gpt-4o/*.json")), key


def test_encrypted_entries_are_decrypted_with_the_key(command, encrypted):
    """With its encryption key, the content of an entry is checked too, so swapped files are bad."""
    (first, second), key = encrypted
    assert command("verify", SPARK_CACHE_ENCRYPTION_KEY=key).stdout == "2 entries intact, 0 bad\n"
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)

    result = command("verify", SPARK_CACHE_ENCRYPTION_KEY=key)

    assert result.exit_code == 1
    assert result.stdout.count("wrong_key") == 2


def test_a_tampered_entry_is_bad(command, encrypted):
    """An entry that its own encryption key cannot decrypt was tampered with."""
    (first, _), key = encrypted
    data = first.read_bytes()
    at = data.index(b'"token": "') + 60
    first.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])

    result = command("verify", "--repair", SPARK_CACHE_ENCRYPTION_KEY=key)

    assert "undecryptable" in result.stdout
    assert not first.exists()


def test_without_the_key_an_entry_is_not_judged(command, encrypted):
    """An encrypted entry whose key is not configured is neither intact nor bad, and a repair does not move it."""
    (first, second), _ = encrypted

    result = command("verify", "--repair")

    assert (result.exit_code, result.stdout) == (
        0,
        "0 entries intact, 0 bad, 2 under keys that are not configured\n",
    )
    assert first.exists()
    assert second.exists()


def test_an_encrypted_entry_in_a_wrong_folder_is_bad_without_its_key(command, encrypted):
    """The provider and the model of an entry are not encrypted, so its folder can be checked without the key."""
    (first, _), _ = encrypted
    _other_model(first)

    result = command("verify")

    assert result.exit_code == 1
    assert "wrong_key" in result.stdout
    assert "0 entries intact, 1 bad, 1 under keys that are not configured" in result.stdout


def test_an_edit_is_accepted(command, development, entries):
    """``--accept`` makes an edited entry valid. Nothing but its checksum changes, and no other file."""
    _edit(entries[0])
    edited = json.loads(entries[0].read_bytes())
    others = [path.read_bytes() for path in entries[1:]]
    key = edited["key"]
    assert CacheManager(CacheConfig(enabled=True, cache_dir=development, mode="replay")).get(key) is None
    refused = command("verify")
    assert (refused.exit_code, "verify --accept" in refused.stderr) == (1, True)

    result = command("verify", "--accept")

    assert (result.exit_code, result.stdout) == (0, "3 entries intact, 0 bad, 1 edit accepted\n")
    accepted = json.loads(entries[0].read_bytes())
    assert accepted.pop("checksum") != edited.pop("checksum")
    assert accepted == edited
    assert entries[0].stat().st_mode & 0o777 == 0o600
    assert [path.read_bytes() for path in entries[1:]] == others
    answer = CacheManager(CacheConfig(enabled=True, cache_dir=development, mode="replay")).get(key)
    assert answer is not None
    assert answer["content"] == "my edit"
    assert command("verify").stdout == "4 entries intact, 0 bad\n"


def test_the_form_of_an_edited_file_is_kept(command, entries):
    """A file that an editor or a formatter wrote keeps its form."""
    document = json.loads(entries[0].read_bytes())
    text = json.dumps({**document, "content": "my edit"}, indent=4, sort_keys=True)
    entries[0].write_text(text)

    assert command("verify", "--accept").exit_code == 0

    accepted = entries[0].read_text()
    new = json.loads(accepted)["checksum"]
    assert accepted == text.replace(document["checksum"], new)


def test_accept_and_repair_together(command, entries):
    """Edits are accepted, and only what is bad otherwise is moved aside."""
    _edit(entries[0])
    _cut(entries[1])

    result = json.loads(command("verify", "--accept", "--repair", "--json").stdout)

    (bad,) = result["bad"]
    assert (result["sound"], result["accepted"], bad["reason"]) == (2, 1, "corrupt")
    assert not entries[1].exists()
    assert command("verify").stdout == "3 entries intact, 0 bad\n"


@pytest.mark.parametrize("damage", [_cut, _rename, _other_model, _edit_key])
def test_an_edit_is_not_accepted_if_something_else_is_wrong(command, entries, damage):
    """An edited entry that is cut, renamed or in another folder stays bad and as it is."""
    _edit(entries[0])
    damage(entries[0])
    before = {path: path.read_bytes() for path in entries[0].parent.parent.rglob("*.json")}

    result = command("verify", "--accept")

    assert (result.exit_code, "edited" in result.stdout) == (1, False)
    assert {path: path.read_bytes() for path in entries[0].parent.parent.rglob("*.json")} == before


def test_an_entry_that_replaced_an_edited_one_is_kept(development, entries):
    """An entry that a program stores between the check and the acceptance is not overwritten."""
    whole = entries[0].read_bytes()
    _edit(entries[0])
    store = FileStore(
        str(development),
        clock=time.time,
        commit_entries=False,
        entry_format=ENTRY_FORMAT,
        on_removed=print,
    )
    (bad,) = verify(store, None, step=lambda: None).bad
    entries[0].write_bytes(whole)

    assert not accept(store, bad)
    assert entries[0].read_bytes() == whole


def test_an_edited_entry_is_not_encrypted(command, entries):
    """Encryption would authenticate an edit that nobody has accepted, so it skips the entry and says so."""
    _edit(entries[0])
    key = Fernet.generate_key().decode()

    result = command("encrypt", SPARK_CACHE_ENCRYPTION_KEY=key)

    assert (result.exit_code, result.stderr) == (1, "skipped 1 entry: corrupt\n")
    assert [path.exists() for path in entries] == [True, False, False, False]


def test_an_encrypted_entry_cannot_be_accepted(command, encrypted):
    """An edit of an encrypted entry is tampering."""
    (first, _), key = encrypted
    document = json.loads(first.read_bytes())
    first.write_text(json.dumps({**document, "ttl": 5}))

    result = command("verify", "--accept", SPARK_CACHE_ENCRYPTION_KEY=key)

    assert result.exit_code == 1
    assert "wrong_key" in result.stdout
