"""The server's certificate: made on the first day, kept while it fits, never world-readable."""

import ssl
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from um.app.certificates import LIFE, CertificateFiles, certificate_files
from um.config import ConfigurationError, parse


class FixedClock:
    def __init__(self, now=None):
        # The certificate is checked by real TLS code too, so that it is made for the present.
        self.instant = now or datetime.now(UTC)

    def now(self):
        return self.instant

    def monotonic(self):
        return 0.0


def made(folder, *, domain="um.example.net", now=None) -> CertificateFiles:
    document = {"server": {"data_dir": str(folder), "domain": domain}}
    return certificate_files(parse(document, folder), FixedClock(now))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Let two contexts meet in memory; returns the version they agreed on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="um.example.net")
    for _ in range(10):
        done = 0
        for side in (theirs, ours):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            return theirs.version()
    raise AssertionError("no end to the handshake")


def test_the_certificate_verifies_for_its_domain(tmp_path):
    """A client that was given the certificate to trust accepts the server by its name."""
    files = made(tmp_path)
    client = ssl.create_default_context(cafile=str(files.certificate))
    assert handshake(files.ssl_context(), client) == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_below_1_2_is_refused(tmp_path):
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(made(tmp_path).ssl_context(), client)


@pytest.mark.parametrize(
    ("newest", "agreed"), [(SSL.TLS1_2_VERSION, "TLSv1.2"), (SSL.TLS1_3_VERSION, "TLSv1.3")]
)
def test_twisted_serves_the_same_certificate(tmp_path, newest, agreed):
    """Twisted's side shows the same certificate, from TLS 1.2 up."""
    files = made(tmp_path)
    shown = twisted_handshake(files, newest)
    own = ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    assert shown.get_protocol_version_name() == agreed
    der = shown.get_peer_certificate(as_cryptography=True).public_bytes(Encoding.DER)
    assert der == own


def test_twisted_refuses_tls_below_1_2(tmp_path):
    with pytest.raises(SSL.Error):
        twisted_handshake(made(tmp_path), SSL.TLS1_1_VERSION)


def twisted_handshake(files: CertificateFiles, newest: int) -> SSL.Connection:
    """Let Twisted's context meet an OpenSSL client in memory; returns the client's side."""
    wanted = SSL.Context(SSL.TLS_CLIENT_METHOD)
    wanted.set_max_proto_version(newest)
    wanted.set_cipher_list(b"ALL:@SECLEVEL=0")
    client = SSL.Connection(wanted, None)
    server = SSL.Connection(files.twisted_factory().getContext(), None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                here.do_handshake()
            with suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65536))
    return client


def test_the_key_is_the_owners_alone(tmp_path):
    assert stat.S_IMODE(made(tmp_path).key.stat().st_mode) == 0o600


def test_it_is_kept_while_it_fits(tmp_path):
    """A restart keeps the certificate that mail programs were told to trust."""
    first = made(tmp_path).certificate.read_bytes()
    assert made(tmp_path).certificate.read_bytes() == first
    assert made(tmp_path, domain="other.example").certificate.read_bytes() != first


def test_it_is_made_again_before_it_ends(tmp_path):
    now = datetime.now(UTC)
    first = made(tmp_path, now=now - LIFE + timedelta(days=5)).certificate.read_bytes()
    assert made(tmp_path, now=now).certificate.read_bytes() != first


def test_a_torn_pair_is_made_again(tmp_path):
    """A crash between writing key and certificate heals at the next start."""
    made(tmp_path).key.write_bytes(b"torn")
    files = made(tmp_path)
    client = ssl.create_default_context(cafile=str(files.certificate))
    assert handshake(files.ssl_context(), client)


def test_the_operators_files_are_named_when_they_are_wrong(tmp_path):
    """A missing or damaged certificate is a clear error of the key `tls`, not a traceback."""
    files = CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(ConfigurationError, match=r"tls: .*cert.pem .*No such file"):
        files.ssl_context()
    files.certificate.write_text("nonsense")
    files.key.write_text("nonsense")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        files.ssl_context()
