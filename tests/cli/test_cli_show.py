"""``spark-cache show``."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet


def test_show_accepts_a_prefix_of_a_name(command, store):
    """The 12 characters that a log line shows are enough."""
    path = store("Paris.")
    store("London.")

    result = command("show", path.stem[:12])

    assert result.exit_code == 0
    assert result.stdout.endswith("\nresponse\nParis.\n")


def test_show_prints_the_fields_of_an_entry(command, store):
    """Each field is on a separate line, before the request and the response."""
    path = store("Paris.", age=90)

    head, request, response = command("show", path.stem).stdout.split("\n\n")
    fields = dict(line.split(None, 1) if "  " in line else (line, "") for line in head.splitlines())

    assert fields["file"] == str(path)
    assert fields["size"] == f"{path.stat().st_size} B"
    assert (fields["provider"], fields["model"], fields["profile"]) == ("openai", "gpt-4o", "development")
    assert fields["stored"].endswith((", 1m 30s ago", ", 1m 31s ago"))
    assert "stop reason  end_turn" in head
    assert "usage        input 15, output 8, total 23 tokens" in head
    assert "latency      0.50 s" in head
    assert json.loads(request.removeprefix("request\n"))["messages"][0]["role"] == "user"
    assert response == "response\nParis.\n"


def test_show_shows_tool_calls(command, store):
    """A response that only calls a tool is shown by its call."""
    calls = [{"id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'}]
    path = store("", response={"tool_calls": calls, "content": ""})

    output = command("show", path.stem).stdout

    assert json.loads(output.split("\ntool calls\n")[1]) == calls
    assert "\nresponse\n" not in output


def test_show_as_json_is_the_document(command, store):
    """JSON output is the content of the file."""
    path = store()

    assert json.loads(command("show", path.stem, "--json").stdout) == json.loads(path.read_bytes())


def test_show_raw_is_the_file(command, store):
    """``--raw`` prints the file byte for byte, even if it is not an entry."""
    path = store()
    path.write_bytes(b'{"torn": \xff')

    assert command("show", path.stem, "--raw").stdout_bytes == b'{"torn": \xff'


def test_json_and_raw_cannot_be_combined(command, store):
    """Both options together are misuse."""
    result = command("show", store().stem, "--raw", "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--raw and --json cannot be used together" in result.stderr


def test_an_unknown_key_is_a_problem(command, store, development):
    """An unknown key gives exit code 1 and a hint to list the entries."""
    store()

    result = command("show", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: no entry in {development} matches the key ffffffffffff0; run `spark-cache ls` to list the entries\n"
    )


def test_an_ambiguous_prefix_is_a_problem(command, store):
    """A prefix of several names shows no entry and lists the matches."""
    folder = store().parent
    for digit in range(7):
        (folder / f"abc{digit}.json").touch()

    result = command("show", "abc")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "Error: 7 entries match the key abc:",
        *(f"  openai/gpt-4o/abc{digit}.json" for digit in range(5)),
        "  and 2 more",
    ]


def test_a_full_name_wins_over_a_prefix(command, store):
    """An entry whose full name is a prefix of another name is still found."""
    store("short", key="abc")
    store("long", key="abcd")

    assert command("show", "abc").stdout.endswith("\nshort\n")


def test_show_accepts_the_key_of_an_entry(command, store):
    """A key that is not hexadecimal also finds its entry."""
    store("Paris.", key="capital of France")

    assert command("show", "capital of France").stdout.endswith("\nParis.\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "corrupt"), (b'{"content": "Par', "corrupt"), (b'{"schema": 999}', "other_version")],
)
def test_a_file_that_is_not_an_entry_is_a_problem(command, store, content, reason):
    """A file that cannot be read as an entry gives exit code 1 and the reason."""
    path = store()
    path.write_bytes(content)

    result = command("show", path.stem)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {path} cannot be read as an entry: {reason}; --raw prints the file unchanged\n"
    )


def test_a_link_is_not_followed(command, store, tmp_path):
    """A symbolic link in place of an entry does not reveal its target."""
    (tmp_path / "secret").write_text("not for you")
    link = store().with_name("abc.json")
    link.symlink_to(tmp_path / "secret")

    result = command("show", "abc", "--raw")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {link} cannot be read: not_a_file\n"


def test_a_response_cannot_control_the_terminal(command, store):
    """Control characters in a response are escaped. Line breaks are kept."""
    path = store("\x1b[2Jfirst\nsecond\x07\u202e")

    assert command("show", path.stem).stdout.endswith("\nresponse\n\\x1b[2Jfirst\nsecond\\x07\\u202e\n")


def test_an_encrypted_entry_is_shown_with_its_encryption_key(command, store):
    """With its encryption key, an encrypted entry is shown like any other, also by its cache key."""
    key = Fernet.generate_key().decode()
    path = store("Paris.", key="abc", encryption="all", encryption_keys=key)

    assert path.stem != "abc"
    assert command("show", path.stem[:12], SPARK_CACHE_ENCRYPTION_KEY=key).stdout.endswith("\nParis.\n")
    assert command("show", "abc", SPARK_CACHE_ENCRYPTION_KEY=key).stdout.endswith("\nParis.\n")


def test_an_encrypted_entry_is_not_shown_without_its_encryption_key(command, store):
    """Without its encryption key, an encrypted entry is a problem, and none of its content is shown."""
    path = store("Paris.", encryption="all", encryption_keys=Fernet.generate_key().decode())

    result = command("show", path.stem)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "undecryptable" in result.stderr
