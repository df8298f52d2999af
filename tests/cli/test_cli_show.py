"""``spark-cache show``."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet


def test_show_takes_the_beginning_of_a_name(command, store):
    """The 12 characters that a log line shows are enough."""
    path = store("Paris.")
    store("London.")

    result = command("show", path.stem[:12])

    assert result.exit_code == 0
    assert result.stdout.endswith("\nanswer\nParis.\n")


def test_show_tells_what_is_known_of_an_entry(command, store):
    """Each field stands on a line of its own, before the request and the answer."""
    path = store("Paris.", age=90)

    head, request, answer = command("show", path.stem).stdout.split("\n\n")
    fields = dict(line.split(None, 1) if "  " in line else (line, "") for line in head.splitlines())

    assert fields["file"] == str(path)
    assert fields["size"] == f"{path.stat().st_size} B"
    assert (fields["provider"], fields["model"], fields["profile"]) == ("openai", "gpt-4o", "development")
    assert fields["stored"].endswith((", 1m 30s ago", ", 1m 31s ago"))
    assert "stop reason  end_turn" in head
    assert "usage        input 15, output 8, total 23 tokens" in head
    assert "first took   0.50 s" in head
    assert json.loads(request.removeprefix("request\n"))["messages"][0]["role"] == "user"
    assert answer == "answer\nParis.\n"


def test_show_shows_tool_calls(command, store):
    """An answer that only calls a tool is shown by its call."""
    calls = [{"id": "call_1", "name": "weather", "arguments": '{"city": "Paris"}'}]
    path = store("", response={"tool_calls": calls, "content": ""})

    output = command("show", path.stem).stdout

    assert json.loads(output.split("\ntool calls\n")[1]) == calls
    assert "\nanswer\n" not in output


def test_show_as_json_is_the_document(command, store):
    """Programs get what stands in the file, as JSON."""
    path = store()

    assert json.loads(command("show", path.stem, "--json").stdout) == json.loads(path.read_bytes())


def test_show_raw_is_the_file(command, store):
    """``--raw`` prints the file byte for byte, also where it is no entry."""
    path = store()
    path.write_bytes(b'{"torn": \xff')

    assert command("show", path.stem, "--raw").stdout_bytes == b'{"torn": \xff'


def test_json_and_raw_exclude_each_other(command, store):
    """Asking for both forms is misuse."""
    result = command("show", store().stem, "--raw", "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--raw and --json exclude each other" in result.stderr


def test_an_unknown_key_is_a_problem(command, store, development):
    """A key that no entry has gives exit code 1, and says where entries are listed."""
    store()

    result = command("show", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: no entry in {development} has the key ffffffffffff0; `spark-cache ls` lists the entries\n"
    )


def test_a_beginning_of_several_names_is_a_problem(command, store):
    """What stands for several entries shows none, and names them."""
    folder = store().parent
    for digit in range(7):
        (folder / f"abc{digit}.json").touch()

    result = command("show", "abc")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "Error: 7 entries answer to the key abc:",
        *(f"  openai/gpt-4o/abc{digit}.json" for digit in range(5)),
        "  and 2 more",
    ]


def test_a_whole_name_goes_before_a_beginning(command, store):
    """An entry whose whole name is the beginning of another's can still be named."""
    store("short", key="abc")
    store("long", key="abcd")

    assert command("show", "abc").stdout.endswith("\nshort\n")


def test_show_takes_the_text_that_an_entry_was_stored_under(command, store):
    """A key that is no hexadecimal number finds its entry too."""
    store("Paris.", key="capital of France")

    assert command("show", "capital of France").stdout.endswith("\nParis.\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "corrupt"), (b'{"content": "Par', "corrupt"), (b'{"schema": 999}', "other_version")],
)
def test_a_file_that_is_no_entry_is_a_problem(command, store, content, reason):
    """A file that cannot be read as an entry gives exit code 1 and the reason."""
    path = store()
    path.write_bytes(content)

    result = command("show", path.stem)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {path} cannot be read as an entry: {reason}; --raw prints it as it is\n"
    )


def test_a_link_is_not_followed(command, store, tmp_path):
    """A symbolic link in an entry's place shows nothing of what it points to."""
    (tmp_path / "secret").write_text("not for you")
    link = store().with_name("abc.json")
    link.symlink_to(tmp_path / "secret")

    result = command("show", "abc", "--raw")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {link} cannot be read: not_a_file\n"


def test_an_answer_does_not_steer_the_terminal(command, store):
    """Control characters in an answer are shown, not obeyed; lines stay lines."""
    path = store("\x1b[2Jfirst\nsecond\x07\u202e")

    assert command("show", path.stem).stdout.endswith("\nanswer\n\\x1b[2Jfirst\nsecond\\x07\\u202e\n")


def test_an_encrypted_entry_is_shown_to_who_has_the_key(command, store):
    """With its key at hand an encrypted entry reads like any other, also by its cache key."""
    key = Fernet.generate_key().decode()
    path = store("Paris.", key="abc", encryption="all", encryption_keys=key)

    assert path.stem != "abc"
    assert command("show", path.stem[:12], SPARK_CACHE_ENCRYPTION_KEY=key).stdout.endswith("\nParis.\n")
    assert command("show", "abc", SPARK_CACHE_ENCRYPTION_KEY=key).stdout.endswith("\nParis.\n")


def test_an_encrypted_entry_is_not_shown_without_its_key(command, store):
    """Without its key an encrypted entry is a problem, and nothing of it is shown."""
    path = store("Paris.", encryption="all", encryption_keys=Fernet.generate_key().decode())

    result = command("show", path.stem)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "undecryptable" in result.stderr
