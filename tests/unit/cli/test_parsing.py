"""The command line: what is typed, what is printed, what is refused."""

import io
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.cli import output
from um.cli.maintenance import parse_instant
from um.cli.numbers import parse_number_and_use
from um.cli.secrets import read_secrets
from um.core.account import NumberUse
from um.core.errors import InvalidError

ROOT = Path(__file__).parents[3]


def um(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "um", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["account", "show"], "Missing argument 'NAME'. (um account show --help tells more)"),
        (["account", "frob"], "No such command 'frob'. (um account --help tells more)"),
        (["purge", "--bogus"], "No such option: --bogus (um purge --help tells more)"),
    ],
)
def test_wrong_usage_is_one_line(arguments, complaint):
    """Whoever types something wrong reads one line on stderr; scripts see 2."""
    done = um(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"um: {complaint}\n")


def test_a_command_that_cannot_reach_the_storage_says_why_in_one_line(tmp_path):
    """The cause stands in the line, not in a log before it."""
    (tmp_path / "um.toml").write_text("")
    assert um("account", "add", "anna", folder=tmp_path).returncode == 0
    database = sqlite3.connect(tmp_path / "data" / "um.db", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        done = um("account", "suspend", "anna", folder=tmp_path)
    finally:
        database.close()
    assert done.returncode == 1
    assert done.stderr == "um: Storage is not available for the moment: database is locked\n"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("+15551230001", ("+15551230001", NumberUse.BOTH)),
        ("+15551230001:fax", ("+15551230001", NumberUse.FAX)),
        ("555 123 0001:voice", ("555 123 0001", NumberUse.VOICE)),
    ],
)
def test_a_number_may_say_its_use(given, meant):
    assert parse_number_and_use(given) == meant


def test_an_unknown_use_is_refused():
    with pytest.raises(InvalidError, match="voice, fax or both"):
        parse_number_and_use("+15551230001:telex")


def test_an_instant_without_an_offset_is_local():
    assert parse_instant("2026-03-01T10:00:00+00:00", "UTC") == datetime(2026, 3, 1, 10, tzinfo=UTC)
    local = parse_instant("2026-03-01T10:00:00", "America/Toronto")
    assert local.astimezone(UTC) == datetime(2026, 3, 1, 15, tzinfo=UTC)
    with pytest.raises(InvalidError):
        parse_instant("soon", "UTC")


def test_secrets_come_password_first(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2 with space \r\n482915\n"))
    assert read_secrets(password=True, pin=True) == ("hunter2 with space ", "482915")


def test_a_missing_secret_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    with pytest.raises(InvalidError, match="PIN"):
        read_secrets(password=True, pin=True)


@given(st.text())
def test_printed_text_cannot_drive_the_terminal(value):
    """Names and reasons from outside are shown without a control character."""
    assert output.text(value).isprintable() or not any(ord(c) < 32 for c in output.text(value))


def test_help_is_quick_and_loads_nothing_heavy():
    """`um --help` imports neither Twisted, SQLAlchemy nor pydantic."""
    program = (
        "import sys; from um.cli.main import app\n"
        "heavy = {'twisted', 'sqlalchemy', 'pydantic', 'fastapi', 'phonenumbers'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_wrong_usage_is_2_and_an_error_is_1(tmp_path):
    """One clear line on stderr, nothing on stdout, and the exit code tells which."""
    assert um("account", "add").returncode == 2
    done = um("account", "list", "--config", str(tmp_path / "none.toml"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"um: {tmp_path}/none.toml: there is no such file\n"


def test_a_bad_configuration_is_told_line_by_line(tmp_path):
    file = tmp_path / "um.toml"
    file.write_text('[imap]\nlisten = ["x"]\nlisten_tsl = []\n')
    done = um("check-config", "--config", str(file))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "um: imap.listen.0: must be HOST:PORT, or [HOST]:PORT for IPv6",
        "um: imap.listen_tsl: unknown key",
    ]


def test_the_configuration_is_found_wherever_it_is_named(tmp_path):
    """Before the command, after it, in the environment, or as ./um.toml; the nearest wins."""
    for name in ("a", "b", "um"):
        (tmp_path / f"{name}.toml").write_text('[telephony]\nmwi_targets = ["sip:127.0.0.1"]\n')
    a, b = str(tmp_path / "a.toml"), str(tmp_path / "b.toml")

    def used(*arguments: str, **environment: str) -> str:
        done = um(*arguments, folder=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]

    assert used("--config", a, "check-config") == f"{a}: valid"
    assert used("check-config", "--config", b) == f"{b}: valid"
    assert used("--config", a, "check-config", "--config", b) == f"{b}: valid"
    assert used("check-config", UM_CONFIG=a) == f"{a}: valid"
    assert used("check-config") == "um.toml: valid"


def test_check_config_says_that_every_key_of_the_example_works():
    done = um("check-config", "--config", "um.example.toml", "--json")
    assert json.loads(done.stdout)["inactive"] == {}
    assert "does nothing yet" not in um("check-config", "--config", "um.example.toml").stdout


def test_check_config_names_programs_that_are_not_installed(tmp_path):
    """OCR without tesseract, or without the language's data; nothing if OCR is off."""
    file = tmp_path / "um.toml"
    file.write_text("[fax]\nocr = true\n")
    assert json.loads(um("check-config", "--config", str(file), "--json").stdout)["missing"] == {}
    bare = um("check-config", "--config", str(file), PATH=str(tmp_path)).stdout
    assert "fax.ocr: tesseract (tesseract-ocr) is not installed" in bare
    file.write_text('[fax]\nocr = true\nocr_language = "kat+eng"\n')
    told = um("check-config", "--config", str(file)).stdout
    assert "fax.ocr: tesseract-ocr-kat is not installed: faxes are read as eng" in told
    file.write_text('[fax]\nocr_language = "kat"\n')
    assert "tesseract" not in um("check-config", "--config", str(file), PATH=str(tmp_path)).stdout
