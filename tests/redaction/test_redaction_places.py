"""Where secrets are found in a value, and how they are reported."""

from __future__ import annotations

import json

import pytest

from spark_cache.redaction import Redactor, Secret

KEY = "sk-proj-" + "a1B2c3D4e5" * 5


def test_a_secret_is_replaced_by_its_kind():
    """The replacement names the kind of the secret, and the rest of the text is unchanged."""
    assert Redactor().redact(f"use {KEY} now")[0] == "use [redacted: OpenAI API key] now"


def test_the_value_is_not_modified():
    """The caller's messages are not modified."""
    value = {"messages": [{"content": KEY}]}

    Redactor().redact(value)

    assert value == {"messages": [{"content": KEY}]}


def test_each_secret_is_reported_by_its_path():
    """The report contains the path of each secret and never the secret."""
    value = {"messages": [{"content": [{"text": "hi"}, {"text": KEY}]}], "parameters": {"user": KEY}}

    _, found = Redactor().redact(value)

    assert found == (
        Secret("messages[0].content[1].text", "OpenAI API key"),
        Secret("parameters.user", "OpenAI API key"),
    )
    assert KEY not in repr(found)


def test_the_first_secret_is_found():
    """One secret is enough to refuse a response."""
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
def test_the_value_of_a_secret_name_is_a_secret(name):
    """A short password matches no pattern, and its name identifies it."""
    redacted, found = Redactor().redact({"headers": {name: "hunter2"}})

    assert redacted == {"headers": {name: f"[redacted: value of {name}]"}}
    assert [secret.path for secret in found] == [f"headers.{name}"]


@pytest.mark.parametrize(
    "name", ["key", "token", "max_tokens", "cache_key", "monkey", "secretary", "tokenizer"]
)
def test_similar_names_are_not_secret(name):
    """A name that only resembles a secret name is not one."""
    assert Redactor().redact({name: "hunter2"})[1] == ()


def test_json_in_a_string_is_searched():
    """Tool arguments are JSON in a string, and are searched at any depth."""
    text = json.dumps({"path": "/", "login": json.dumps({"password": "hunter2"})})

    redacted, found = Redactor().redact({"arguments": text})

    assert "hunter2" not in redacted["arguments"]
    assert json.loads(json.loads(redacted["arguments"])["login"]) == {
        "password": "[redacted: value of password]"
    }
    assert [secret.path for secret in found] == ["arguments.login.password"]


def test_a_name_that_is_a_secret_is_replaced_too():
    """A secret in a dictionary key is replaced."""
    redacted, found = Redactor().redact({"balances": {KEY: 3}})

    assert redacted == {"balances": {"[redacted: OpenAI API key]": 3}}
    assert KEY not in str(found[0])


def test_profile_patterns_hide_what_they_match():
    """A pattern hides its whole match, or its group named ``secret``."""
    redactor = Redactor([r"KD-\d{6}", r"case (?P<secret>\w+)"])

    redacted, found = redactor.redact("customer KD-123456 in case Falcon")

    kind = "match for a profile pattern"
    assert redacted == f"customer [redacted: {kind}] in case [redacted: {kind}]"
    assert {secret.kind for secret in found} == {kind}


def test_email_addresses_are_hidden_only_on_request():
    """E-mail addresses count as secrets only if the caller asks for it."""
    text = "Write to ada.lovelace+notes@mail.example.com."

    assert Redactor().redact(text)[0] == text
    assert Redactor(emails=True).redact(text)[0] == "Write to [redacted: e-mail address]."


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "", "short", [], {}])
def test_values_without_secrets_are_returned_unchanged(value):
    """Values that are not strings, and short strings, are not secrets."""
    assert Redactor(emails=True).redact(value) == (value, ())


def test_redacting_twice_changes_nothing_more():
    """The replacement of a secret is not a secret."""
    once, _ = Redactor(emails=True).redact({"content": KEY, "password": "hunter2", "to": "ada@b.example.com"})

    assert Redactor(emails=True).redact(once) == (once, ())
