"""Events reach the log as the application wants them, and never say what was said."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from dataclasses import fields
from io import StringIO

import pytest
import structlog

from spark_cache import events
from spark_cache.events import (
    LOGGER_NAME,
    CacheError,
    CacheHit,
    CacheMiss,
    CacheStore,
    Event,
    StructlogSink,
    configure_logging,
)

_HIT = CacheHit(
    provider="openai",
    model="gpt-4o",
    key="3f2a3f2a3f2a",
    operation="text",
    profile="testing",
    age=12.4,
    size_bytes=512,
    duration_ms=0.0451,
)
_KINDS = [
    kind
    for kind in (getattr(events, name) for name in events.__all__)
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]

_PROGRAM = """
import logging, sys
from spark_cache.events import CacheHit, CacheMiss, CacheStore, StructlogSink

SETUP

sink = StructlogSink()
for event in (
    CacheHit(provider="openai", model="gpt-4o", key="3f2a3f2a3f2a", age=12.0),
    CacheMiss(provider="openai", model="gpt-4o", reason="absent"),
    CacheStore(provider="openai", model="gpt-4o", size_bytes=512, ttl=60.0),
):
    if sink.wants(event.level):
        sink.emit(event)
print("structlog" in sys.modules)
"""


def _run(setup: str = "") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_PROGRAM).replace("SETUP", setup)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    return done.stdout, done.stderr


@pytest.fixture
def sink() -> StructlogSink:
    """A sink of its own for each test."""
    return StructlogSink()


def test_an_application_that_configured_nothing_sees_nothing():
    """Hits, misses and stores are silent by default, and structlog is not even loaded."""
    assert _run() == ("False\n", "")


def test_basic_config_shows_events():
    """``logging.basicConfig`` at INFO is all it takes to see what the cache does."""
    out, err = _run('logging.basicConfig(level="INFO")')
    assert out == "True\n"
    assert err.splitlines() == [
        "INFO:spark_cache:cache.hit provider=openai model=gpt-4o key=3f2a3f2a3f2a age=12s",
        "INFO:spark_cache:cache.miss provider=openai model=gpt-4o reason=absent",
        "INFO:spark_cache:cache.store provider=openai model=gpt-4o size_bytes=512 ttl=60s",
    ]


def test_a_level_that_lets_nothing_through_costs_nothing():
    """With the level at WARNING, hits are neither logged nor is structlog loaded."""
    assert _run('logging.basicConfig(level="WARNING")') == ("False\n", "")


def test_the_level_of_our_logger_decides():
    """The application's level for ``spark_cache`` alone shows or hides the events."""
    out, err = _run('logging.basicConfig(level="INFO"); logging.getLogger("spark_cache").setLevel("ERROR")')
    assert (out, err) == ("False\n", "")


def test_the_applications_structlog_changes_nothing():
    """Whatever the application told structlog, events arrive as standard records."""
    setup = (
        "import structlog\n"
        "def refuse(*_): raise RuntimeError\n"
        "structlog.configure(processors=[refuse], logger_factory=refuse, wrapper_class=refuse, context_class=refuse)\n"
        'logging.basicConfig(level="INFO")'
    )
    _, err = _run(setup)
    assert (
        err.splitlines()[0]
        == "INFO:spark_cache:cache.hit provider=openai model=gpt-4o key=3f2a3f2a3f2a age=12s"
    )


def test_structlog_is_left_as_the_application_has_it(sink, caplog):
    """Logging an event configures nothing."""
    before = structlog.is_configured(), structlog.get_config()
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    assert (structlog.is_configured(), structlog.get_config()) == before


def test_a_record_carries_the_fields(sink, caplog):
    """Formatters find every field of the event as an attribute of the record."""
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER_NAME, "INFO")
    carried = {name: getattr(record, name) for name in ("event", *(field.name for field in fields(_HIT)))}
    assert carried == {"event": "cache.hit", **_HIT.facts()}


def test_a_message_reads_as_text(sink, caplog):
    """The message alone says what happened, with ages in seconds and figures cut to what a person reads."""
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    (message,) = caplog.messages
    assert message == (
        "cache.hit provider=openai model=gpt-4o key=3f2a3f2a3f2a operation=text profile=testing age=12s"
        " size_bytes=512 duration_ms=0.05"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt-4o", "gpt-4o"),
        ("my model", '"my model"'),
        ("50% off", '"50% off"'),
        ("%s", "%s"),
        ("{0}", "{0}"),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("x\nWARNING:root:forged", '"x\\nWARNING:root:forged"'),
        ("x\r\x1b[31mred", '"x\\r\\u001b[31mred"'),
        ("模型", "模型"),
        ("\u2028line", '"\\u2028line"'),
        ("\ud800", '"\\ud800"'),
    ],
    ids=ascii,
)
def test_a_name_cannot_forge_a_line_or_a_field(sink, caplog, name, shown):
    """A name from outside stays one word of one line."""
    with caplog.at_level("INFO"):
        sink.emit(CacheMiss(model=name, reason="absent"))
    assert caplog.messages == [f"cache.miss model={shown} reason=absent"]


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_every_event_can_be_logged(sink, caplog, kind):
    """No field of any event is one that a log record has for itself, and none may hold content."""
    values = {field.name: "x" for field in fields(kind)}
    numbers = {"age": 1.0, "ttl": 1.0, "size_bytes": 1, "duration_ms": 1.0}
    event = kind(**{name: numbers.get(name, value) for name, value in values.items()})
    with caplog.at_level("INFO"):
        sink.emit(event)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{kind.name} provider=x model=x")
    assert record.levelno == kind.level
    assert not set(values) & {"prompt", "messages", "content", "answer", "response", "parameters", "request"}


def test_faults_are_warnings():
    """What went wrong is a warning, what goes on is information."""
    levels = {kind.name: logging.getLevelName(kind.level) for kind in _KINDS}
    assert {name for name, level in levels.items() if level == "WARNING"} == {"cache.corrupt", "cache.error"}
    assert set(levels.values()) == {"INFO", "WARNING"}


def test_an_event_does_not_show_what_it_does_not_know():
    """Fields without a value are left out."""
    assert CacheMiss(reason="absent").facts() == {"reason": "absent"}


def _raise(*_args, **_keywords):
    raise RuntimeError


def test_a_filter_that_raises_breaks_no_call(sink, caplog):
    """What the application's logging does with an event is not the model call's affair."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.addFilter(_raise)
    try:
        with caplog.at_level("INFO"):
            sink.emit(_HIT)
    finally:
        logger.removeFilter(_raise)


def test_a_record_factory_with_our_names_breaks_no_call(sink, caplog):
    """An application that gives every record an attribute of one of our names loses the event, not the call."""
    before = logging.getLogRecordFactory()

    def factory(*args, **keywords):
        record = before(*args, **keywords)
        record.model = "car"
        return record

    logging.setLogRecordFactory(factory)
    try:
        with caplog.at_level("INFO"):
            sink.emit(_HIT)
    finally:
        logging.setLogRecordFactory(before)


@pytest.fixture
def stream() -> StringIO:
    """Where log output goes."""
    return StringIO()


def test_console_output_is_for_people(sink, stream):
    """``console`` shows the name of the event and its fields on one line, without colours where nobody sees them."""
    configure_logging("INFO", "console", stream)
    sink.emit(_HIT)
    (line,) = stream.getvalue().splitlines()
    assert "cache.hit" in line
    assert "model=gpt-4o" in line
    assert line.count("gpt-4o") == 1
    assert "\x1b" not in line


def test_json_output_is_one_object_a_line(sink, stream):
    """``json`` writes each event as an object with all its fields, whatever a name holds."""
    configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    sink.emit(CacheError(error='line\nbreak "quoted"', directory="/cache", model="模型"))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {**_HIT.facts(), "event": "cache.hit", "level": "info"}.items() <= first.items()
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("cache.error", "warning")
    assert second["error"] == 'line\nbreak "quoted"'


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_other_messages_of_our_logger_come_through(stream, log_format):
    """A message that is no event is shown too, with its exception."""
    configure_logging("INFO", log_format, stream)
    try:
        raise ValueError("what happened")
    except ValueError:
        logging.getLogger(f"{LOGGER_NAME}.part").exception("it failed: %s", "so")
    assert "it failed: so" in stream.getvalue()
    assert "what happened" in stream.getvalue()


def test_configuring_again_replaces_the_handler(sink, stream):
    """A second call does not double the output."""
    configure_logging("INFO", "json", StringIO())
    handler = configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    assert len(stream.getvalue().splitlines()) == 1
    assert [each for each in logging.getLogger(LOGGER_NAME).handlers if type(each) is type(handler)] == [
        handler
    ]


def test_the_root_logger_does_not_show_it_again(sink, stream, caplog):
    """What is shown here is not shown by the root logger's handlers as well."""
    configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    assert caplog.records == []


def test_the_level_holds(sink, stream):
    """Below the level that was asked for, nothing is shown."""
    configure_logging("WARNING", "json", stream)
    assert not sink.wants(logging.INFO)
    sink.emit(_HIT)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("arguments", [("INFO", "xml"), ("LOUD", "json")])
def test_a_wrong_setting_changes_nothing(sink, stream, arguments):
    """An unknown format or level is an error, and the output stays as it was."""
    configure_logging("INFO", "json", stream)
    with pytest.raises(ValueError, match=r"xml|LOUD"):
        configure_logging(*arguments)
    sink.emit(CacheStore(size_bytes=1))
    assert json.loads(stream.getvalue())["event"] == "cache.store"
