"""``ignore`` leaves fields of a request out of keys, and everything that explains a call says so."""

from __future__ import annotations

import pytest
from models_world import QUESTION

from spark_cache import CacheConfig, CacheManager, ConfigError, load_config

RUN = {
    "metadata": {"run": "1", "team": "blue"},
    "user": "u1",
    "extra_headers": {"Helicone-Session-Id": "s1"},
    "extra_query": {"trace": "t1"},
}


def manager_of(cache_dir, *ignored, **options):
    """Return a manager that ignores fields."""
    config = CacheConfig(
        enabled=True,
        cache_dir=cache_dir,
        ignore=ignored,
        store_requests=True,
        allow_plaintext=True,
        **options,
    )
    return CacheManager(config)


def key(manager, **parameters):
    """Return the key of a question with further parameters."""
    return manager.generate_cache_key("openai", "gpt-4o", QUESTION, **parameters)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("body.metadata", {"metadata": {"run": "1"}}),
        ("body.metadata.run", {"metadata": {"run": "1"}}),
        ("body.user", {"user": "u1"}),
        ("headers.Helicone-Session-Id", {"extra_headers": {"helicone-session-id": "s1"}}),
        ("query.trace", {"extra_query": {"trace": "t1"}}),
    ],
)
def test_an_ignored_field_is_not_keyed(cache_dir, path, parameters):
    """A request with an ignored field has the key of the request without it."""
    assert key(manager_of(cache_dir, path), **parameters) == key(manager_of(cache_dir))
    assert key(manager_of(cache_dir), **parameters) != key(manager_of(cache_dir))


def test_only_the_named_field_is_left_out(cache_dir):
    """Neighbours of an ignored field stay in the key."""
    manager = manager_of(cache_dir, "body.metadata.run", "body.absent", "headers.absent")
    assert key(manager, metadata={"run": "1", "team": "blue"}) == key(
        manager, metadata={"run": "2", "team": "blue"}
    )
    assert key(manager, metadata={"run": "1", "team": "blue"}) != key(
        manager, metadata={"run": "1", "team": "red"}
    )
    assert key(manager, metadata="text") != key(manager)


async def test_an_ignored_field_is_still_sent(make_model, provider, cache_dir):
    """Models send what they do not key, and an answer is shared across values of the field."""
    config = CacheConfig(enabled=True, cache_dir=cache_dir, ignore=["body.user"], allow_plaintext=True)
    model = make_model(cache_config=config, enable_cache=None, cache_dir=None)
    await model.get_text(QUESTION, user="u1")
    assert provider.requests[0].body["user"] == "u1"
    assert (await model.get_text(QUESTION, user="u2")).cached


def test_a_rule_has_its_own_list(cache_dir):
    """A rule that matches the model replaces the list."""
    rule = {"model": "gpt-4o", "ignore": ["body.metadata"]}
    manager = manager_of(cache_dir, "body.user", rules=[rule])
    assert key(manager, metadata={"run": "1"}) == key(manager)
    assert key(manager, user="u1") != key(manager)


def test_why_names_what_was_ignored(cache_dir):
    """An explanation names the ignored fields of the request and the setting that ignores them, and lists no change in them."""
    manager = manager_of(cache_dir, "body.metadata.run", "body.user")
    stored = key(manager, metadata={"run": "1", "team": "blue"})
    request = {"body": {"messages": QUESTION, "metadata": {"run": "1", "team": "blue"}}}
    answer = {"content": "A language.", "stop_reason": "end_turn", "usage": None}
    manager.set(stored, "openai", "gpt-4o", request, answer)
    why = manager.explain("openai", "gpt-4o", QUESTION, metadata={"run": "2", "team": "red"}, user="u1")
    assert [difference.path for difference in why.differences] == ["body.metadata.team"]
    assert "body.metadata.run, body.user is not part of the key (ignore: constructor)." in why.notes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("metadata", "is not a path in a request"),
        ("body", "is not a path in a request"),
        ("body.", "is not a path in a request"),
        ("body..user", "is not a path in a request"),
        ("cookies.a", "is not a path in a request"),
        ("body.messages", "is the conversation"),
        ("body.contents", "is the conversation"),
        (5, "is not a list of words"),
    ],
)
def test_a_wrong_path_is_an_error(given, message):
    """A path that cannot name a field, or that names the conversation, is refused."""
    with pytest.raises(ConfigError, match=message):
        CacheConfig(ignore=[given] if isinstance(given, str) else given)


def test_each_item_has_an_origin(tmp_path, monkeypatch):
    """A variable and a profile tell where each item comes from, down to the line."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "profiles").mkdir()
    profile = '[cache]\nenabled = true\nignore = [\n  "body.metadata",\n  "body.user",\n]\n'
    (tmp_path / "profiles" / "team.toml").write_text(profile)
    monkeypatch.chdir(tmp_path)
    config = load_config("team")
    assert config.ignore == ("body.metadata", "body.user")
    assert [(item.raw, item.line) for item in config.origins["ignore"].items] == [
        ("body.metadata", 4),
        ("body.user", 5),
    ]
    monkeypatch.setenv("SPARK_CACHE_IGNORE", "body.user, headers.X-Run")
    config = load_config("team")
    assert config.ignore == ("body.user", "headers.x-run")
    assert [(item.raw, item.name) for item in config.origins["ignore"].items] == [
        ("body.user", "SPARK_CACHE_IGNORE"),
        ("headers.X-Run", "SPARK_CACHE_IGNORE"),
    ]
