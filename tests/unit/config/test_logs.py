"""Logs: one line an event, whatever a peer sends, and never a secret."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from um import logs


@pytest.fixture
def stream():
    kept = (logging.getLogger().handlers[:], logging.getLogger().level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logging.getLogger().handlers[:], level = kept
    logging.getLogger().setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_an_event_is_one_line_of_json(stream):
    """A caller's name with a line break stays inside its own line."""
    structlog.get_logger("um.test").info("call offered", caller='Eve\r\n{"event": "forged"}\x1b[2J')
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["event"] == "call offered"
    assert event["level"] == "info"
    assert event["logger"] == "um.test"
    assert event["timestamp"].endswith("Z")
    assert "\x1b" not in line


def test_no_secret_is_printed(stream):
    """Keys that name a secret lose their value at any depth, and URLs their password."""
    structlog.get_logger().warning(
        "odd",
        password="hunter2",
        new_pin="hunter2",
        headers={"Authorization": "hunter2", "nested": [{"api-token": "hunter2"}]},
        database="postgresql+psycopg://um:hunter2@db/um",
        opinion="kept",
        pinned="kept",
    )
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("kept") == 2


def test_the_standard_library_runs_through_the_same_chain(stream):
    logging.getLogger("aiosmtpd").warning("url %s", "smtp://u:hunter2@h\nforged")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["logger"] == "aiosmtpd"
    assert "hunter2" not in line


def test_an_exception_stays_one_line(stream):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: first" in json.loads(line)["exception"]


@given(st.text())
def test_escaped_text_has_no_control_character(text):
    """A terminal can show any escaped text."""
    shown = logs.escaped(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown.splitlines()) <= 1


def test_the_line_for_people():
    event = {
        "timestamp": "2025-01-02T03:04:05.678901Z",
        "level": "info",
        "event": "a",
        "who": "x\ny",
    }
    assert logs.render_key_values(None, "", event) == "03:04:05.678 info    a who=x\\ny"
