"""``spark-cache why``."""

from __future__ import annotations

import json
import time

import pytest

from spark_cache import CacheManager, load_config
from spark_cache.types import Request

OLD = {"temperature": 0.7}
NEW = {"temperature": 0.9}


def request(parameters, text="What is the capital of France?"):
    return Request("openai", "gpt-4o", {"messages": [{"role": "user", "content": text}], **parameters})


@pytest.fixture
def program(development):
    """A program under the development profile that uses the cache as a model does."""

    class Program:
        def __init__(self):
            self.manager = CacheManager(load_config(), clock=lambda: time.time() - 60)

        def store(self, call):
            plan = self.manager.calls.plan(call)
            answer = {"content": "Paris.", "stop_reason": "end_turn", "usage": None}
            self.manager.calls.store([(plan, call, answer)])
            return self.manager.calls.entry_name(plan)

        def miss(self, call):
            plan = self.manager.calls.plan(call)
            self.manager.calls.look_up(plan)
            self.manager.flush()
            return self.manager.calls.entry_name(plan)

    return Program()


def test_last_miss(command, program):
    """Without an argument, the command explains the last miss."""
    stored = program.store(request(OLD))
    missed = program.miss(request(NEW))

    result = command("why")

    assert result.exit_code == 0
    first, second, *rest = result.stdout.splitlines()
    assert first.startswith(f"openai/gpt-4o, entry {missed[:12]}: missed on ")
    assert second.startswith(f"The nearest entry is {stored[:12]} (openai/gpt-4o, stored ")
    assert rest[0] == "  body.temperature: differs"


def test_a_miss_that_has_been_stored_since(command, program):
    """Once the response is stored, its request is known and the differences have paths."""
    program.store(request(OLD))
    program.miss(request(NEW))
    program.store(request(NEW))

    result = command("why")

    assert "  body.temperature: 0.7 -> 0.9\n" in result.stdout
    assert "Hint: the temperature is part of the request" in result.stdout


def test_several_misses(command, program):
    """``--last N`` explains the last N misses, newest first."""
    program.store(request(OLD))
    names = [program.miss(request({"seed": number})) for number in range(3)]

    blocks = command("why", "--last", "2").stdout.split("\n\n")

    assert [block.split("entry ")[1][:12] for block in blocks] == [names[2][:12], names[1][:12]]


def test_a_miss_by_a_prefix_of_its_name(command, program):
    """The prefix that a log line shows is enough, even if the entry was never stored."""
    program.store(request(OLD))
    name = program.miss(request(NEW))

    assert command("why", name[:12]).stdout == command("why", name).stdout
    assert f"entry {name[:12]}: missed on" in command("why", name[:12]).stdout


def test_an_existing_entry(command, program):
    """The command reports an existing entry and compares it with older entries."""
    program.store(request(OLD))
    name = program.store(request(NEW))

    result = command("why", name[:12])

    assert f"entry {name[:12]}: it is in the cache, stored " in result.stdout
    assert "  body.temperature: 0.7 -> 0.9\n" in result.stdout


def test_an_entry_that_was_removed(command, program):
    """A removed entry is distinguished from one that never existed."""
    name = program.store(request(OLD))
    program.manager.remove_entry(name)
    program.manager.flush()

    assert "it was removed on request" in command("why", name).stdout


def test_json_output(command, program):
    """In JSON, each explanation is an object with the fields of the class."""
    program.store(request(OLD))
    name = program.miss(request(NEW))

    (found,) = json.loads(command("why", "--json").stdout)

    assert (found["name"], found["reason"], found["provider"], found["model_id"]) == (
        name,
        "absent",
        "openai",
        "gpt-4o",
    )
    assert found["differences"] == [{"path": "body.temperature", "text": "differs"}]
    assert set(found) == {
        "differences",
        "hints",
        "model_id",
        "name",
        "nearest",
        "notes",
        "provider",
        "reason",
        "summary",
    }


def test_an_unknown_name_is_an_error(command, program):
    """An unknown name gives exit code 1."""
    program.store(request(OLD))

    result = command("why", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no entry in" in result.stderr


def test_an_empty_miss_log_is_an_error(command, program):
    """An empty miss log gives exit code 1 and a message."""
    program.store(request(OLD))

    result = command("why")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "the miss log of" in result.stderr


def test_a_key_and_a_number_exclude_each_other(command, program):
    """KEY and ``--last`` together give exit code 2."""
    program.store(request(OLD))

    assert command("why", "abc", "--last", "2").exit_code == 2


def test_the_command_writes_nothing(command, program, development, listing):
    """The command changes no file and no modification time."""
    program.store(request(OLD))
    program.miss(request(NEW))
    before = listing(development)

    command("why")
    command("why", "--last", "5", "--json")

    assert listing(development) == before


def test_control_characters_are_escaped(command, program):
    """The content of an entry is printed without control characters."""
    program.store(request({"user": "\x1b[31mred"}))
    name = program.store(request({"user": "\x1b[32mgreen"}))

    assert "\x1b" not in command("why", name).stdout
