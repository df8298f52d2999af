"""Events reach the log as the application configures it, and never contain prompts or responses."""

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

from spark_cache import configure_logging, events
from spark_cache.events import (
    LOGGER_NAME,
    CacheError,
    CacheHit,
    CacheMiss,
    CacheStore,
    Event,
    StructlogSink,
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
    """A new sink for each test."""
    return StructlogSink()


def test_without_logging_configuration_nothing_is_shown():
    """By default hits, misses and stores are not shown, and structlog is not imported."""
    assert _run() == ("False\n", "")


def test_basic_config_shows_events():
    """``logging.basicConfig`` at INFO shows each event as a readable line."""
    out, err = _run('logging.basicConfig(level="INFO")')
    assert out == "True\n"
    assert err.splitlines() == [
        "INFO:spark_cache:cache.hit provider=openai model=gpt-4o key=3f2a3f2a3f2a age=12s",
        "INFO:spark_cache:cache.miss provider=openai model=gpt-4o reason=absent",
        "INFO:spark_cache:cache.store provider=openai model=gpt-4o size_bytes=512 ttl=60s",
    ]


def test_a_level_above_info_costs_nothing():
    """With the level at WARNING, hits are not logged and structlog is not imported."""
    assert _run('logging.basicConfig(level="WARNING")') == ("False\n", "")


def test_the_level_of_the_spark_cache_logger_decides():
    """The level of the logger ``spark_cache`` overrides the level of the root logger."""
    out, err = _run('logging.basicConfig(level="INFO"); logging.getLogger("spark_cache").setLevel("ERROR")')
    assert (out, err) == ("False\n", "")


def test_structlog_configuration_of_the_application_is_ignored():
    """Events arrive as standard log records, however the application configures structlog."""
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


def test_structlog_is_not_configured(sink, caplog):
    """Logging an event does not change the structlog configuration of the application."""
    before = structlog.is_configured(), structlog.get_config()
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    assert (structlog.is_configured(), structlog.get_config()) == before


def test_a_record_carries_the_fields(sink, caplog):
    """Every field of the event is an attribute of the log record."""
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER_NAME, "INFO")
    carried = {name: getattr(record, name) for name in ("event", *(field.name for field in fields(_HIT)))}
    assert carried == {"event": "cache.hit", **_HIT.facts()}


def test_a_message_reads_as_text(sink, caplog):
    """The message shows all fields, with ages in seconds and floats rounded to two decimals."""
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
    """A name from outside stays a single value on a single line."""
    with caplog.at_level("INFO"):
        sink.emit(CacheMiss(model=name, reason="absent"))
    assert caplog.messages == [f"cache.miss model={shown} reason=absent"]


def test_an_event_below_the_level_is_not_rendered(sink, caplog, monkeypatch):
    """After a first event was logged, an event that the level drops costs no rendering."""
    with caplog.at_level("INFO"):
        sink.emit(_HIT)
    rendered = []
    monkeypatch.setattr(
        "spark_cache.events.structlog_sink._readable", lambda field, _: rendered.append(field)
    )
    with caplog.at_level("WARNING"):
        sink.emit(_HIT)
    assert rendered == []


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_every_event_can_be_logged(sink, caplog, kind):
    """No event has a field that conflicts with a log record attribute, or that could hold content."""
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
    """Failures are warnings, and all other events are informational."""
    levels = {kind.name: logging.getLevelName(kind.level) for kind in _KINDS}
    assert {name for name, level in levels.items() if level == "WARNING"} == {"cache.corrupt", "cache.error"}
    assert set(levels.values()) == {"INFO", "WARNING"}


def test_fields_without_a_value_are_omitted():
    """``facts`` returns only the fields that have a value."""
    assert CacheMiss(reason="absent").facts() == {"reason": "absent"}


def _raise(*_args, **_keywords):
    raise RuntimeError


def test_a_filter_that_raises_breaks_no_call(sink, caplog):
    """An exception in a logging filter of the application does not reach the model call."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.addFilter(_raise)
    try:
        with caplog.at_level("INFO"):
            sink.emit(_HIT)
    finally:
        logger.removeFilter(_raise)


def test_a_conflicting_record_factory_breaks_no_call(sink, caplog):
    """If a record factory already sets an attribute of the event, the event is lost and the call continues."""
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
    """The stream that receives the log output."""
    return StringIO()


def test_console_output_is_one_readable_line(sink, stream):
    """``console`` shows the event name and its fields on one line, without colours if the stream is not a terminal."""
    configure_logging("INFO", "console", stream)
    sink.emit(_HIT)
    (line,) = stream.getvalue().splitlines()
    assert "cache.hit" in line
    assert "model=gpt-4o" in line
    assert line.count("gpt-4o") == 1
    assert "\x1b" not in line


def test_json_output_is_one_object_per_line(sink, stream):
    """``json`` writes each event as one object with all fields, whatever characters they contain."""
    configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    sink.emit(CacheError(error='line\nbreak "quoted"', directory="/cache", model="模型"))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {**_HIT.facts(), "event": "cache.hit", "level": "info"}.items() <= first.items()
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("cache.error", "warning")
    assert second["error"] == 'line\nbreak "quoted"'


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_other_messages_of_the_logger_are_shown(stream, log_format):
    """A message that is not an event is shown too, with its exception."""
    configure_logging("INFO", log_format, stream)
    try:
        raise ValueError("what happened")
    except ValueError:
        logging.getLogger(f"{LOGGER_NAME}.part").exception("it failed: %s", "so")
    assert "it failed: so" in stream.getvalue()
    assert "what happened" in stream.getvalue()


def test_configuring_again_replaces_the_handler(sink, stream):
    """A second call does not duplicate the output."""
    configure_logging("INFO", "json", StringIO())
    handler = configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    assert len(stream.getvalue().splitlines()) == 1
    assert [each for each in logging.getLogger(LOGGER_NAME).handlers if type(each) is type(handler)] == [
        handler
    ]


def test_the_root_logger_does_not_repeat_events(sink, stream, caplog):
    """Handlers of the root logger do not receive the events a second time."""
    configure_logging("INFO", "json", stream)
    sink.emit(_HIT)
    assert caplog.records == []


def test_the_level_is_respected(sink, stream):
    """Events below the configured level are not shown."""
    configure_logging("WARNING", "json", stream)
    assert not sink.wants(logging.INFO)
    sink.emit(_HIT)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("arguments", [("INFO", "xml"), ("LOUD", "json")])
def test_an_invalid_setting_changes_nothing(sink, stream, arguments):
    """An unknown format or level raises ValueError and leaves the existing output in place."""
    configure_logging("INFO", "json", stream)
    with pytest.raises(ValueError, match=r"xml|LOUD"):
        configure_logging(*arguments)
    sink.emit(CacheStore(size_bytes=1))
    assert json.loads(stream.getvalue())["event"] == "cache.store"
