"""The server's certificate: the operator's, or a self-signed one made in data_dir.

The self-signed one lets mail programs connect on the first day (after a warning); it is made anew
when it has expired or the domain has changed. TLS 1.2 is the least (RFC 8996, RFC 9325).
"""

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.ssl import (
    Certificate,
    ContextFactory,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)

from um.config import Config, ConfigurationError
from um.core.ports import Clock

LIFE = timedelta(days=825)
"""The longest that current systems accept of a certificate that was trusted by hand."""
RENEW_BEFORE = timedelta(days=30)
_NO_RENEGOTIATION = 1 << 30
"""SSL_OP_NO_RENEGOTIATION of OpenSSL, which pyOpenSSL does not name: a client could burn our CPU."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate chain and its private key, PEM."""

    certificate: Path
    key: Path

    def ssl_context(self) -> ssl.SSLContext:
        """For asyncio servers. Raises ConfigurationError if the files cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An encrypted key must fail, not ask on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"tls: {self.certificate} with {self.key} cannot be used: {reason}"
            ) from error
        return context

    def twisted_factory(self) -> "TwistedContext":
        """For Twisted servers: the same files, the same least version. Call `ssl_context` first."""
        return TwistedContext(self)


class TwistedContext(ContextFactory):
    """Twisted's `IOpenSSLContextFactory` over PEM files: one context for all connections."""

    isClient = 0

    def __init__(self, files: CertificateFiles) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.use_certificate_chain_file(str(files.certificate))
        self._context.use_privatekey_file(str(files.key))
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_options(_NO_RENEGOTIATION)

    def getContext(self) -> SSL.Context:
        """The context that every connection is made from."""
        return self._context


def client_options(ca_file: Path | None) -> Callable[[str], Any]:
    """For Twisted clients: TLS 1.2 or later, to whoever has a certificate for the name or address.

    Args:
        ca_file: PEM, the authorities that count; None: the system's. Raises ConfigurationError.
    """
    of_system: Any = platformTrust
    of_certificates: Any = trustRootFromCertificates
    trust = of_system()
    if ca_file is not None:
        try:
            found = x509.load_pem_x509_certificates(ca_file.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"telephony.tls_ca_file: {ca_file} cannot be read") from error
        trust = of_certificates(
            [Certificate.loadPEM(each.public_bytes(serialization.Encoding.PEM)) for each in found]
        )
    return partial(optionsForClientTLS, trustRoot=trust)


def certificate_files(config: Config, clock: Clock) -> CertificateFiles:
    """The configured files, or the self-signed ones, made if they are missing or no longer fit."""
    if config.tls.certificate is not None and config.tls.key is not None:
        return CertificateFiles(config.tls.certificate, config.tls.key)
    folder = config.server.data_dir
    files = CertificateFiles(folder / "self-signed.pem", folder / "self-signed.key")
    if not _fits(files, config.server.domain, clock.now()):
        _make_self_signed(files, config.server.domain, clock.now())
    return files


def _fits(files: CertificateFiles, domain: str, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        files.ssl_context()
    except (OSError, ValueError, x509.ExtensionNotFound, ConfigurationError):
        return False
    in_time = now < certificate.not_valid_after_utc - RENEW_BEFORE
    return in_time and domain in names.get_values_for_type(x509.DNSName)


def _make_self_signed(files: CertificateFiles, domain: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(_names(domain), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The key first: a crash in between leaves a pair that does not fit, and is made again.
    _write(files.key, _private_pem(key), mode=0o600)
    _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _names(domain: str) -> x509.SubjectAlternativeName:
    hosts = dict.fromkeys([domain, "localhost"])
    addresses = [x509.IPAddress(ip_address(host)) for host in ("127.0.0.1", "::1")]
    return x509.SubjectAlternativeName([*map(x509.DNSName, hosts), *addresses])


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Replace the file at once; it never exists with wider access than `mode`."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
