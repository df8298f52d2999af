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
    return Request("openai", "gpt-4o", [{"role": "user", "content": text}], parameters=parameters)


@pytest.fixture
def program(development):
    """A program under the development profile that asks as a model would."""

    class Program:
        def __init__(self):
            self.manager = CacheManager(load_config(), clock=lambda: time.time() - 60)

        def store(self, asked):
            plan = self.manager.plan(asked)
            shown = {"messages": asked.messages, "parameters": asked.parameters}
            answer = {"content": "Paris.", "stop_reason": "end_turn", "usage": None}
            assert self.manager.store(plan, shown, answer)
            return plan.name

        def miss(self, asked):
            plan = self.manager.plan(asked)
            self.manager.lookup(plan)
            self.manager.flush()
            return plan.name

    return Program()


def test_the_last_miss_is_explained(command, program):
    """Without an argument, the last question that the cache could not answer is explained."""
    stored = program.store(request(OLD))
    missed = program.miss(request(NEW))

    result = command("why")

    assert result.exit_code == 0
    first, second, *rest = result.stdout.splitlines()
    assert first.startswith(f"openai/gpt-4o, entry {missed[:12]}: missed on ")
    assert second.startswith(f"The nearest entry is {stored[:12]} (openai/gpt-4o, stored ")
    assert rest[0] == "  parameters: differs"


def test_a_miss_that_was_stored_since_is_explained_by_path(command, program):
    """Once the answer is in the cache, its request is known, and compared by path."""
    program.store(request(OLD))
    program.miss(request(NEW))
    program.store(request(NEW))

    result = command("why")

    assert "  parameters.temperature: 0.7 -> 0.9\n" in result.stdout
    assert "Hint: the temperature is part of the request" in result.stdout


def test_several_misses(command, program):
    """``--last N`` explains as many, newest first."""
    program.store(request(OLD))
    names = [program.miss(request({"seed": number})) for number in range(3)]

    blocks = command("why", "--last", "2").stdout.split("\n\n")

    assert [block.split("entry ")[1][:12] for block in blocks] == [names[2][:12], names[1][:12]]


def test_a_miss_is_named_by_the_beginning_of_its_name(command, program):
    """The name that a log line shows is enough, also where no such entry was ever stored."""
    program.store(request(OLD))
    name = program.miss(request(NEW))

    assert command("why", name[:12]).stdout == command("why", name).stdout
    assert f"entry {name[:12]}: missed on" in command("why", name[:12]).stdout


def test_an_entry_that_is_there(command, program):
    """An entry is said to be there, and compared with those before it."""
    program.store(request(OLD))
    name = program.store(request(NEW))

    result = command("why", name[:12])

    assert f"entry {name[:12]}: it is in the cache, stored " in result.stdout
    assert "  parameters.temperature: 0.7 -> 0.9\n" in result.stdout


def test_an_entry_that_was_removed(command, program):
    """What was removed is told from what was never there."""
    name = program.store(request(OLD))
    program.manager.remove_entry(name)
    program.manager.flush()

    assert "it was removed on demand" in command("why", name).stdout


def test_programs_get_a_list(command, program):
    """As JSON, each explanation is an object of its fields."""
    program.store(request(OLD))
    name = program.miss(request(NEW))

    (found,) = json.loads(command("why", "--json").stdout)

    assert (found["name"], found["reason"], found["provider"], found["model_id"]) == (
        name,
        "absent",
        "openai",
        "gpt-4o",
    )
    assert found["differences"] == [{"path": "parameters", "text": "differs"}]
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


def test_an_unknown_name_is_a_problem(command, program):
    """A name that nothing is known of gives exit code 1."""
    program.store(request(OLD))

    result = command("why", "ffffffffffff0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no entry in" in result.stderr


def test_nothing_missed_is_a_problem(command, program):
    """Where no miss is remembered, that is said."""
    program.store(request(OLD))

    result = command("why")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "no miss is remembered in" in result.stderr


def test_a_key_and_a_number_exclude_each_other(command, program):
    """Both at once is misuse."""
    program.store(request(OLD))

    assert command("why", "abc", "--last", "2").exit_code == 2


def test_asking_why_changes_nothing(command, program, development, listing):
    """No file is written, not even its time."""
    program.store(request(OLD))
    program.miss(request(NEW))
    before = listing(development)

    command("why")
    command("why", "--last", "5", "--json")

    assert listing(development) == before


def test_text_cannot_steer_the_terminal(command, program):
    """What an entry holds comes out without control characters."""
    program.store(request({"user": "\x1b[31mred"}))
    name = program.store(request({"user": "\x1b[32mgreen"}))

    assert "\x1b" not in command("why", name).stdout
