"""The configuration file: the example is the default, and every mistake is named by its key."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap_server.capabilities import ClientMask
from um.app.imap import imap_settings
from um.app.telephone import bindings
from um.config import (
    INACTIVE,
    Config,
    ConfigurationError,
    contains,
    inactive_keys,
    load,
    masked,
    parse,
)
from um.config.addresses import parse_listen, parse_network, parse_sip_listen
from um.config.inactive import Inactive

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "um.example.toml"


def refused(document: dict, folder: Path = Path("/etc/um")) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(document, folder)
    return caught.value.public


def test_the_example_is_the_default():
    """A file with nothing in it means what the example says."""
    assert load(EXAMPLE) == parse({}, EXAMPLE.resolve().parent)


def test_relative_paths_start_at_the_file(tmp_path):
    """`./data` lies beside the file, wherever the server is started."""
    file = tmp_path / "um.toml"
    file.write_text('[tls]\ncertificate = "cert.pem"\nkey = "/srv/key.pem"\n')
    config = load(file)
    assert config.server.data_dir == tmp_path / "data"
    assert config.tls.certificate == tmp_path / "cert.pem"
    assert config.tls.key == Path("/srv/key.pem")


def test_what_mail_programs_are_not_offered():
    """[imap] takes capabilities from all, [[imap.client]] from those of one name."""
    document = {
        "imap": {
            "disabled_capabilities": ["SORT"],
            "client": [{"name": "iPhone*", "disabled_capabilities": ["QRESYNC"]}],
        }
    }
    settings = imap_settings(parse(document, Path("/")))
    assert settings.disabled_capabilities == {"SORT"}
    assert settings.client_masks == (ClientMask("iPhone*", frozenset({"QRESYNC"})),)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"smpt": {}}, "smpt: unknown key"),
        ({"imap": {"listne": []}}, "imap.listne: unknown key"),
        (
            {"smtp": {"trusted_clients": ["10.0.0.1/8"]}},
            "smtp.trusted_clients.0: 10.0.0.1/8 has host bits set",
        ),
        (
            {"imap": {"listen": ["127.0.0.1:143", "localhost:1"]}},
            "imap.listen.1: the host must be an IP address, such as 127.0.0.1 or [::]",
        ),
        (
            {"telephony": {"listen": ["127.0.0.1:5060"]}},
            "telephony.listen.0: must begin with udp:, tcp: or tls:",
        ),
        (
            {"tls": {"certificate": "a"}},
            "tls: certificate and key are given together or not at all",
        ),
        ({"telephony": {"rtp_ports": [9, 8]}}, "telephony.rtp_ports: the first port is greater"),
        (
            {"telephony": {"ring_seconds": "20"}},
            "telephony.ring_seconds: should be a valid integer",
        ),
        (
            {"policy": {"quota_octets": 1_048_575}},
            "policy.quota_octets: should be greater than or equal to 1048576",
        ),
        (
            {"telephony": {"mwi_targets": ["sip:pbx.example.net"]}},
            "telephony.mwi_targets.0: must be sip:[USER@]ADDRESS",
        ),
        (
            {"telephony": {"mwi_targets": ["sip:127.0.0.1:70000"]}},
            "telephony.mwi_targets.0: must be sip:[USER@]ADDRESS",
        ),
        ({"fax": {"ecm": 1}}, "fax.ecm: should be a valid boolean"),
        ({"fax": {"paper": "a3"}}, "fax.paper: should be 'a4' or 'letter'"),
        ({"server": {"domain": "um example"}}, "server.domain: must be a domain name"),
        ({"server": {"timezone": "Toronto"}}, "server.timezone: must be a time zone"),
        ({"server": {"default_region": "XX"}}, "server.default_region: must be a region"),
        (
            {"storage": {"database": "mysql://h/d"}},
            "storage.database: must be sqlite or postgresql",
        ),
        ({"storage": {"blobs": "s3://b"}}, "storage.blobs: s3:// does not work yet"),
        ({"smtp": {"relay": "http://h"}}, "smtp.relay: must be smtp://"),
        (
            {"telephony": {"core": [{"name": "a", "username": "b"}]}},
            "telephony.core.0.password_file",
        ),
        (
            {"telephony": {"registration": [{"registrar": "sip:um@h", "username": "b"}]}},
            "telephony.registration.0.registrar: must be sip:HOST",
        ),
        ({"telephony": {"session_expires_seconds": 89}}, "telephony.session_expires_seconds"),
        ({"telephony": {"operator": "a <b>"}}, "telephony.operator: must be an extension"),
        ({"telephony": {"credentials": [{"realm": ""}]}}, "telephony.credentials.0.realm"),
    ],
)
def test_a_mistake_is_named_by_its_key(document, problem):
    """Each refusal begins with the path of the key it is about."""
    assert problem in refused(document)


def test_every_mistake_is_told_at_once():
    problems = refused({"imap": {"x": 1}, "fax": {"ecm": "yes"}}).splitlines()
    assert [line.partition(":")[0] for line in problems] == ["imap.x", "fax.ecm"]


def test_a_password_is_never_printed():
    """Neither the configuration's own text nor a complaint about it shows a secret."""
    url = "postgresql+psycopg://um:hunter2@db/um"
    config = parse({"storage": {"database": url}}, Path("/etc/um"))
    assert "hunter2" not in repr(config) + str(config) + str(config.storage.database)
    assert config.storage.database.value == url
    assert "hunter2" not in refused({"storage": {"database": "mysql://um:hunter2@db/um"}})
    assert "hunter2" not in refused({"smtp": {"relay": ["smtp://u:hunter2@h"]}})
    assert masked("smtps://u:hunter2@h:465") == "smtps://u:***@h:465"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[imap", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, problem):
    file = tmp_path / "um.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        load(file)


def test_inactive_keys_are_told_only_where_the_file_sets_them(monkeypatch):
    """A file is told of what it asks for in vain, not of what it never mentioned."""
    assert inactive_keys(load(EXAMPLE)) == {}
    monkeypatch.setitem(INACTIVE, "smtp.relay", Inactive("of no use"))
    monkeypatch.setitem(INACTIVE, "fax.ecm", Inactive("of no use", bool))
    assert inactive_keys(parse({}, Path("/"))) == {}
    file = {"smtp": {"relay": "smtp://192.0.2.1"}, "fax": {"ecm": False}}
    assert inactive_keys(parse(file, Path("/"))) == {"smtp.relay": "of no use"}


def test_inactive_keys_exist():
    """The table names real keys: a typing error there would hide a key that does nothing."""
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    keys = {f"{name}.{key}" for name, kind in sections.items() for key in kind.model_fields}
    assert set(INACTIVE) <= keys
    assert "smtp.relay" in keys


def test_listen_addresses():
    assert str(parse_listen("[::1]:143")) == "[::1]:143"
    assert (parse_listen("0.0.0.0:0").host, parse_listen("0.0.0.0:0").port) == ("0.0.0.0", 0)
    sip = parse_sip_listen("UDP:[::]:5060")
    assert (sip.transport, sip.host, sip.port) == ("udp", "::", 5060)


@given(st.text() | st.integers() | st.none())
def test_any_text_is_an_address_or_a_plain_complaint(text):
    """Whatever stands in the file, the parser answers with a value or with ValueError."""
    for parser in (parse_listen, parse_sip_listen, parse_network):
        with suppress(ValueError):
            assert parser(text) is not None


def test_trust_by_address():
    """A mapped IPv4 address is the address it maps; what is no address is trusted by nobody."""
    networks = (parse_network("127.0.0.0/8"), parse_network("2001:db8::/32"))
    assert contains(networks, "127.1.2.3")
    assert contains(networks, "::ffff:127.0.0.1")
    assert contains(networks, "2001:db8::5%eth0")
    assert not contains(networks, "128.0.0.1")
    assert not contains(networks, "localhost")


@pytest.mark.parametrize(
    ("registrar", "valid"),
    [
        ("sip:pbx.example.net", True),
        ("sip:192.0.2.7:5080;transport=tcp", True),
        ("sip:[2001:db8::7];transport=tls", True),
        ("sips:pbx.example.net:5061", True),
        ("sips:pbx.example.net;transport=tcp", False),
        ("sip:um@pbx.example.net", False),
        ("sip:pbx.example.net:99999", False),
        ("sip:pbx.example.net;transport=ws", False),
        ("http://pbx.example.net", False),
        ("sip:pbx.example.net?a=b", False),
    ],
)
def test_a_registrar_is_a_place(registrar, valid):
    """A host, a port, a transport; what is taken here is what the engine reads."""
    entry = {"registrar": registrar, "username": "um", "password_file": "x"}
    document = {"telephony": {"registration": [entry]}}
    if not valid:
        assert "telephony.registration.0.registrar" in refused(document)
        return
    (binding,) = bindings(parse(document, Path("/etc/um")))
    assert binding.contact_user == "um"
    assert binding.registrar.text == registrar


@pytest.mark.parametrize(
    ("operator", "valid"),
    [
        ("100", True),
        ("*9#", True),
        ("sip:desk@192.0.2.7:5080;transport=tcp", True),
        ("tel:+15550000000", True),
        ("sip:a>b@h", False),
        ("sip:a@h\r\nX: y", False),
        ("", False),
    ],
)
def test_an_operator_is_an_extension_or_a_uri(operator, valid):
    """It goes into Refer-To as it is: nothing that could end a field or an address."""
    document = {"telephony": {"operator": operator}}
    if valid:
        assert parse(document, Path("/etc/um")).telephony.operator == operator
    else:
        assert "telephony.operator" in refused(document)
