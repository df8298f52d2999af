"""No secret reaches a recording: requests are redacted, and responses that contain a secret are not recorded."""

from __future__ import annotations

import json
import logging

import pytest
from cryptography.fernet import Fernet
from redaction_corpus import harmless, secrets

from spark_cache import CacheConfig, CacheManager, OpenAIModel
from spark_cache.testing import StandInProvider

KEY = "sk-proj-" + "a1B2c3D4e5" * 5
QUESTION = [{"role": "user", "content": "Hello?"}]
ANSWER = {"content": "Hello!", "stop_reason": "end_turn", "usage": None}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recordings"


def manager_of(folder, **values):
    values = {"commit_entries": True, "store_requests": True, **values}
    return CacheManager(CacheConfig(enabled=True, cache_dir=folder, **values))


def on_disk(folder):
    """Return the content of all files below a folder."""
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def only_entry(folder):
    (path,) = folder.glob("[!.]*/*/*.json")
    return json.loads(path.read_text())


@pytest.fixture
def provider():
    """Start a provider that answers with the text after ``say`` in the question."""

    def answer(body):
        said = body["messages"][-1]["content"].partition("say ")[2]
        if body.get("tools"):
            call = {
                "id": "call_1",
                "type": "function",
                "function": {"name": "note", "arguments": json.dumps({"text": said})},
            }
            return {"content": None, "tool_calls": [call]}
        return said or "Hello!"

    with StandInProvider(answer=answer) as running:
        yield running


@pytest.fixture
async def model(folder, provider):
    config = CacheConfig(enabled=True, cache_dir=folder, commit_entries=True, store_requests=True)
    args = {"base_url": provider.base_url, "api_key": "stand-in-key-0"}
    async with OpenAIModel("gpt-4o", cache_config=config, client_args=args) as model:
        yield model


TOOL = {"name": "note", "description": "Take a note.", "parameters": {"type": "object", "properties": {}}}


async def test_no_secret_of_the_corpus_is_on_disk(model, folder, provider):
    """None of two hundred secrets in messages, prompts, headers, tool arguments and responses is stored."""
    made = secrets()
    for number, (_, text, _) in enumerate(made):
        match number % 5:
            case 0:
                await model.get_text([{"role": "user", "content": f"Is {text} mine?"}])
            case 1:
                await model.get_text(QUESTION, f"Use {text} to log in.")
            case 2:
                header = text.replace("\n", "")
                await model.get_text(QUESTION, extra_headers={"x-tenant": header, "x-session-token": header})
            case 3:
                call = {"name": "login", "arguments": json.dumps({"with": text})}
                turn = {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}],
                }
                result = {"role": "tool", "tool_call_id": f"call_{number}", "content": f"tried {text}"}
                await model.get_text([*QUESTION, turn, result])
            case _:
                tools = [TOOL] if number % 2 else None
                question = [{"role": "user", "content": f"Number {number}, say {text}"}]
                await model.get_text(question, tool_specs=tools)
    await model.aclose()

    text = on_disk(folder).decode(errors="replace")

    assert provider.calls == len(made)
    assert len(list(folder.glob("[!.]*/*/*.json"))) == len(made) * 4 // 5
    assert [kind for kind, _, core in made if core in text or json.dumps(core)[1:-1] in text] == []


async def test_harmless_texts_are_stored_unchanged(model, folder):
    """Two hundred harmless texts in requests and responses are recorded unchanged."""
    made = harmless()
    for text in made:
        await model.get_text([{"role": "user", "content": f"Please say {text}"}])

    entries = [json.loads(path.read_text()) for path in folder.glob("[!.]*/*/*.json")]

    assert sorted(entry["content"] for entry in entries) == sorted(made)
    assert sorted(entry["request"]["body"]["messages"][0]["content"] for entry in entries) == sorted(
        f"Please say {text}" for text in made
    )


async def test_a_redacted_request_is_found_by_its_original_key(model, provider):
    """The key is computed from the original request."""
    question = [{"role": "user", "content": f"Is {KEY} mine?"}]

    first, second = await model.get_text(question), await model.get_text(question)

    assert (first.cached, second.cached, provider.calls) == (False, True, 1)


async def test_a_response_with_a_secret_is_not_recorded(model, folder, caplog, provider):
    """The caller gets the response unchanged, and the warning contains only the path and the kind of the secret."""
    caplog.set_level(logging.INFO, logger="spark_cache")

    response = await model.get_text([{"role": "user", "content": f"say {KEY}"}])

    assert response.content == KEY
    assert list(folder.glob("[!.]*/*/*.json")) == []
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert 'error="it holds a secret: content (OpenAI API key)"' in warning
    assert KEY not in caplog.text


def test_a_nested_secret_is_reported_by_its_path(folder, caplog):
    """The warning contains the path of the secret within the response."""
    response = {
        **ANSWER,
        "tool_calls": [{"id": "1", "name": "login", "arguments": '{"password": "hunter2"}'}],
    }

    assert not manager_of(folder).set("abc", "openai", "gpt-4o", None, response)

    assert "tool_calls[0].arguments.password" in caplog.text
    assert "hunter2" not in caplog.text


def test_responses_elsewhere_are_stored_unchanged(folder):
    """A directory that is not for version control stores every response."""
    response = {**ANSWER, "content": KEY}
    manager = manager_of(folder, commit_entries=False)

    assert manager.set("abc", "openai", "gpt-4o", None, response)
    assert manager.get("abc") == response


def test_an_encrypted_response_is_stored_unchanged(folder):
    """Only the holder of the encryption key can read the secret."""
    response = {**ANSWER, "content": KEY}
    key = Fernet.generate_key().decode()
    manager = manager_of(folder, encryption="all", encryption_keys=key)

    assert manager.set("abc", "openai", "gpt-4o", None, response)
    assert manager.get("abc") == response
    assert KEY.encode() not in on_disk(folder)


def test_an_equal_encrypted_response_leaves_the_file_alone(folder):
    """Encryption gives different bytes each time, but an equal response is not written again."""
    key = Fernet.generate_key().decode()
    manager = manager_of(folder, encryption="all", encryption_keys=key)
    manager.set("abc", "openai", "gpt-4o", None, ANSWER)
    (path,) = folder.glob("[!.]*/*/*.json")
    before = path.read_bytes()

    manager.set("abc", "openai", "gpt-4o", None, ANSWER)

    assert path.read_bytes() == before


def test_profile_patterns_apply_to_requests_and_responses(folder):
    """A match is hidden in requests and prevents the recording of responses."""
    manager = manager_of(folder, redact=[r"KD-\d{6}"])

    assert manager.set("abc", "openai", "gpt-4o", {"q": "Who is KD-123456?"}, ANSWER)
    assert not manager.set("abd", "openai", "gpt-4o", None, {**ANSWER, "content": "KD-123456 is Ada."})
    assert b"KD-123456" not in on_disk(folder)


def test_email_addresses_are_hidden_only_if_configured(tmp_path):
    """E-mail addresses are hidden only if ``redact_emails`` is on."""
    for name, hidden in (("kept", False), ("hidden", True)):
        manager = manager_of(tmp_path / name, redact_emails=hidden)
        manager.set("abc", "openai", "gpt-4o", {"q": "Write to ada@lovelace.example"}, ANSWER)

        assert (b"ada@lovelace.example" in on_disk(tmp_path / name)) is not hidden


def test_the_digest_of_a_redacted_part_is_not_stored(folder):
    """A digest could confirm a guess of a short secret when everything else in its part is known."""
    manager = manager_of(folder)
    key = manager.generate_cache_key(
        "anthropic", "claude-haiku-4-5", QUESTION, "password: 'hunter2x'", top_k=1
    )
    body = {"messages": QUESTION, "system": "password: 'hunter2x'", "max_tokens": 4096, "top_k": 1}

    manager.set(key, "anthropic", "claude-haiku-4-5", {"body": body}, ANSWER)

    assert "body.system" in key.digests
    assert only_entry(folder)["digests"].keys() == key.digests.keys() - {"body.system"}


def test_a_redacted_request_of_another_form_has_no_digests(folder):
    """If the parts of a redacted request have other names, no digest is stored."""
    manager = manager_of(folder)
    key = manager.generate_cache_key("openai", "gpt-4o", QUESTION)

    manager.set(key, "openai", "gpt-4o", f"Hello with {KEY}", ANSWER)

    assert only_entry(folder)["digests"] == {}
    assert only_entry(folder)["request"] == "Hello with [redacted: OpenAI API key]"
