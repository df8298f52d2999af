"""Where secrets stand in a value, and what is said of them."""

from __future__ import annotations

import json

import pytest

from spark_cache.redaction import Redactor, Secret

KEY = "sk-proj-" + "a1B2c3D4e5" * 5


def test_a_secret_is_replaced_by_its_kind():
    """What stands in its place says what it was, and the rest of the text stays."""
    assert Redactor().redact(f"use {KEY} now")[0] == "use [redacted: OpenAI API key] now"


def test_the_value_itself_stays_as_it_is():
    """The caller's own messages are not changed."""
    value = {"messages": [{"content": KEY}]}

    Redactor().redact(value)

    assert value == {"messages": [{"content": KEY}]}


def test_each_secret_is_told_by_its_path():
    """A path leads to each secret, and the secret is no part of what is told."""
    value = {"messages": [{"content": [{"text": "hi"}, {"text": KEY}]}], "parameters": {"user": KEY}}

    _, found = Redactor().redact(value)

    assert found == (
        Secret("messages[0].content[1].text", "OpenAI API key"),
        Secret("parameters.user", "OpenAI API key"),
    )
    assert KEY not in repr(found)


def test_the_first_secret_is_found():
    """Who refuses an answer needs one reason."""
    assert Redactor().first({"a": "b", "c": [KEY]}) == Secret("c[0]", "OpenAI API key")
    assert Redactor().first({"a": "b"}) is None


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "proxy-authorization", "Cookie", "set-cookie", "X-Api-Key", "api_key", "apiKey", "password",
        "db.password", "client_secret", "accessToken", "refresh_token", "aws_secret_access_key", "private_key",
        "x-amz-security-token",
    ],
)  # fmt: skip
def test_what_stands_under_a_telling_name_is_a_secret(name):
    """A short password has no shape, and its name gives it away."""
    redacted, found = Redactor().redact({"headers": {name: "hunter2"}})

    assert redacted == {"headers": {name: f"[redacted: what is called {name}]"}}
    assert [secret.path for secret in found] == [f"headers.{name}"]


@pytest.mark.parametrize(
    "name", ["key", "token", "max_tokens", "cache_key", "monkey", "secretary", "tokenizer"]
)
def test_other_names_tell_nothing(name):
    """A name that merely resembles one is none."""
    assert Redactor().redact({name: "hunter2"})[1] == ()


def test_json_in_a_text_is_looked_through():
    """The arguments of a tool are JSON in a text, at any depth."""
    text = json.dumps({"path": "/", "login": json.dumps({"password": "hunter2"})})

    redacted, found = Redactor().redact({"arguments": text})

    assert "hunter2" not in redacted["arguments"]
    assert json.loads(json.loads(redacted["arguments"])["login"]) == {
        "password": "[redacted: what is called password]"
    }
    assert [secret.path for secret in found] == ["arguments.login.password"]


def test_a_name_that_is_a_secret_is_replaced_too():
    """A secret may be the key of a dictionary."""
    redacted, found = Redactor().redact({"balances": {KEY: 3}})

    assert redacted == {"balances": {"[redacted: OpenAI API key]": 3}}
    assert KEY not in str(found[0])


def test_own_patterns_hide_what_they_match():
    """A pattern hides all that it matches, or its group called ``secret``."""
    redactor = Redactor([r"KD-\d{6}", r"case (?P<secret>\w+)"])

    redacted, found = redactor.redact("customer KD-123456 in case Falcon")

    kind = "text that a pattern of the profile hides"
    assert redacted == f"customer [redacted: {kind}] in case [redacted: {kind}]"
    assert {secret.kind for secret in found} == {kind}


def test_addresses_are_hidden_on_request_alone():
    """An e-mail address is no secret to everybody."""
    text = "Write to ada.lovelace+notes@mail.example.com."

    assert Redactor().redact(text)[0] == text
    assert Redactor(emails=True).redact(text)[0] == "Write to [redacted: e-mail address]."


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "", "short", [], {}])
def test_what_can_hold_no_secret_comes_back(value):
    """Values other than texts are no secrets."""
    assert Redactor(emails=True).redact(value) == (value, ())


def test_redacting_twice_changes_nothing_more():
    """What stands in a secret's place is none itself."""
    once, _ = Redactor(emails=True).redact({"content": KEY, "password": "hunter2", "to": "ada@b.example.com"})

    assert Redactor(emails=True).redact(once) == (once, ())
