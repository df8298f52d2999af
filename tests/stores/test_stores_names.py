"""The names of folders and files are valid on every file system, and never shared."""

from __future__ import annotations

import os
import re
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_cache.stores import HIDDEN, address, entry_name, folder_name
from spark_cache.stores.names import is_entry_name
from spark_cache.types import CacheKey

_HOSTILE = [
    "../../etc",
    "/etc/passwd",
    "a/b:c",
    "a\\b",
    ".",
    "..",
    "...",
    "CON",
    "con",
    "con.txt",
    "Con.txt",
    "COM1.log",
    "lpt9",
    "x" * 500,
    "x" * 81,
    "ü" * 60,
    "GPT-4o",
    "gpt-4o.",
    "gpt-4o ",
    " gpt-4o",
    "nul\0byte",
    "",
    "\ud800",
    "trailing.",
    HIDDEN,
    ".git",
    "~",
    "name~0123",
    "line\nbreak",
    "us.anthropic.claude-v2:0",
    "模型",
]
_SAFE = re.compile(r"[a-z0-9_-][a-z0-9._~-]*")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")

_texts = (
    st.text(max_size=120)
    | st.from_regex(r"[A-Za-z0-9._~-]{0,90}", fullmatch=True)
    | st.sampled_from(_HOSTILE)
)


class _Model(str, Enum):  # noqa: UP042 - the older way of writing it, whose members print otherwise
    LARGE = "gpt-4o-large"


@pytest.mark.parametrize(
    "name", ["openai", "gpt-4o", "gpt-4.1-mini", "o1", "a_b", "-", "-x", "x" * 80, "llama3.1-8b"]
)
def test_a_plain_name_is_its_own_folder(name):
    """A name that is valid on every file system is its own folder name."""
    assert folder_name(name) == name


@pytest.mark.parametrize("name", _HOSTILE, ids=ascii)
def test_any_other_name_becomes_a_readable_safe_one(name):
    """A name that some file system refuses, or confuses with another name, becomes a slug and a digest."""
    folder = folder_name(name)
    assert folder != name
    assert re.fullmatch(r".+~[0-9a-f]{24}", folder)


@settings(deadline=None, max_examples=300)
@given(_texts)
def test_a_folder_name_is_safe(name):
    """A folder name is short lower-case ASCII, stays inside its directory, is not hidden and is not a device."""
    folder = folder_name(name)
    assert _SAFE.fullmatch(folder)
    assert len(folder) <= 80
    assert not _DEVICE.fullmatch(folder)
    assert not folder.endswith(".")
    assert os.path.normpath(f"/cache/{folder}") == f"/cache/{folder}"


@settings(deadline=None, max_examples=300)
@given(_texts, _texts)
def test_two_names_never_share_a_folder(left, right):
    """Different names have different folders, even where case is ignored."""
    assert (folder_name(left).casefold() == folder_name(right).casefold()) is (left == right)


@settings(deadline=None, max_examples=200)
@given(_texts)
def test_a_folder_name_given_as_a_name_does_not_lead_there(name):
    """A model that is named like the folder of another model has its own folder."""
    folder = folder_name(name)
    assert (folder_name(folder) == folder) is (folder == name)


def test_names_that_differ_in_case_are_apart():
    """``GPT-4o`` and ``gpt-4o`` are two models."""
    assert len({folder_name(name).casefold() for name in ("GPT-4o", "gpt-4o", "Gpt-4O")}) == 3


def test_a_folder_name_is_plain_text():
    """A folder name is a plain string, even if an equal member of an enumeration was asked for first."""
    assert type(folder_name(_Model.LARGE)) is str
    assert f"{folder_name('gpt-4o-large')}" == "gpt-4o-large"


@pytest.mark.parametrize("key", ["0", "ab", "3f2a" * 16, "f" * 128])
def test_a_hexadecimal_key_is_its_own_name(key):
    """A key that is hexadecimal names its file."""
    assert entry_name(key) == key


@settings(deadline=None, max_examples=300)
@given(_texts | st.from_regex(r"[0-9a-fA-F]{0,140}", fullmatch=True))
def test_any_key_has_a_hexadecimal_name(key):
    """The file name of every key is hexadecimal, and such names belong to entries."""
    name = entry_name(key)
    assert re.fullmatch(r"[0-9a-f]{1,128}", name)
    assert is_entry_name(name)
    assert not _DEVICE.fullmatch(name)


@settings(deadline=None, max_examples=300)
@given(_texts, _texts)
def test_two_keys_never_share_a_name(left, right):
    """Different keys have different files."""
    assert (entry_name(left) == entry_name(right)) is (left == right)


def test_an_address_holds_no_request():
    """An address is plain text and does not keep the request of its key in memory."""
    key = CacheKey("ab" * 32, "openai", "gpt-4o", {})
    assert type(address("openai", "gpt-4o", key).name) is str


@pytest.mark.parametrize("name", ["", "settings", "abc.bak", "ab (copy)", "AB", "f" * 129, ".ab"])
def test_other_files_are_not_taken_for_entries(name):
    """A name that no key can have is not the name of an entry."""
    assert not is_entry_name(name)
