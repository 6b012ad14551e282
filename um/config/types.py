"""The value types of the configuration: each says its unit, its bounds and how TOML writes it."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo

from um.config.addresses import Listen, Network, parse_listen, parse_network, parse_sip_listen
from um.core.account import MIN_QUOTA_OCTETS
from um.core.errors import InvalidError
from um.core.retention import RetentionRule, parse_rule

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_MAIL_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>]+")
_OPERATOR = re.compile(
    r"[A-Za-z0-9*#+._-]{1,64}"
    r"|(?:sips?:[A-Za-z0-9*+._%-]{1,64}@[A-Za-z0-9.:\[\]-]{1,255}|tel:\+?[0-9]{1,32})"
    r"(?:;[A-Za-z0-9=._-]{1,64}){0,8}"
)
_REGISTRAR = re.compile(
    r"(?:sips:(?!.*;)|sip:)(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?:;transport=(?:udp|tcp|tls))?"
)
_SIP_TARGET = re.compile(
    r"sips?:([A-Za-z0-9+._*~!'()%-]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9.]+)(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(;transport=(udp|tcp|tls))?"
)


class Section(BaseModel):
    """A table of the file: unchangeable, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )


def written(value: object) -> Any:
    """A default in the form that the file writes; it is validated like a value of the file."""
    return Field(default=value)


@dataclass(frozen=True, slots=True)
class SecretUrl:
    """A URL that may carry a password; printed without it."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return masked(self.value)


def masked(url: str) -> str:
    """`url` with its password replaced: `postgresql+psycopg://um:***@db/um`."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url
    userinfo, at, host = parts.netloc.rpartition("@")
    name, colon, _ = userinfo.partition(":")
    query = re.sub(r"(?i)((?:password|secret|token|key)[^=&]*=)[^&]*", r"\1***", parts.query)
    netloc = f"{name}:***{at}{host}" if colon else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def _secret_url(value: object) -> SecretUrl:
    if isinstance(value, SecretUrl):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - pydantic reports ValueError
    return SecretUrl(value.strip())


def _domain(value: str) -> str:
    folded = value.strip().lower()
    if not _DOMAIN.fullmatch(folded) or len(folded) > 253:
        raise ValueError("must be a domain name such as um.example.net")
    return folded


def _mail_address(value: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(value):
        raise ValueError("must be a mail address such as billing@example.net")
    return value


def _sip_target(value: str) -> str:
    found = _SIP_TARGET.fullmatch(value.strip())
    try:
        if found is None or int(found["port"] or 0) > 65_535:
            raise ValueError
        ip_address(found["host"].strip("[]"))
    except ValueError:
        raise ValueError("must be sip:[USER@]ADDRESS[:PORT][;transport=udp|tcp|tls]") from None
    return value.strip()


def _registrar(value: str) -> str:
    found = _REGISTRAR.fullmatch(value)
    if found is None or int(found["port"] or 0) > 65_535:
        raise ValueError("must be sip:HOST[:PORT][;transport=udp|tcp|tls] or sips:HOST[:PORT]")
    return value


def _operator(value: str) -> str:
    if not _OPERATOR.fullmatch(value):
        raise ValueError("must be an extension such as 100 or a URI such as sip:100@192.0.2.7")
    return value


def _region(value: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - 0.1 s, only when a file is read

    if value not in SUPPORTED_REGIONS:
        raise ValueError("must be a region of two capital letters such as CA (ISO 3166)")
    return value


def timezone(value: str) -> str:
    """`value` if it names a zone of the IANA database; raises ValueError otherwise."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError):
        raise ValueError("must be a time zone such as America/Toronto (IANA)") from None
    return value


def _retention_rule(value: object) -> RetentionRule:
    if isinstance(value, RetentionRule):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - pydantic reports ValueError
    try:
        return parse_rule(value)
    except InvalidError as error:
        raise ValueError(error.public) from None


def _one_of_a_kind(value: tuple[RetentionRule, ...]) -> tuple[RetentionRule, ...]:
    if len({rule.kind for rule in value}) < len(value):
        raise ValueError("must have one rule of a kind")
    return value


def _resolved(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path.cwd())
    return (Path(folder) / value.expanduser()).resolve()


Switch = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, gt=0)]
QuotaOctets = Annotated[int, Field(strict=True, ge=MIN_QUOTA_OCTETS)]
RegistrationSeconds = Annotated[int, Field(strict=True, ge=60, le=86_400)]
SessionSeconds = Annotated[int, Field(strict=True, ge=90, le=86_400)]
"""Of a session timer: RFC 4028 §4 allows no less."""
Port = Annotated[int, Field(strict=True, gt=0, le=65_535)]
FilePath = Annotated[Path, AfterValidator(_resolved)]
"""Relative paths are relative to the configuration file's folder."""
Domain = Annotated[str, AfterValidator(_domain)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Region = Annotated[str, AfterValidator(_region)]
Timezone = Annotated[str, AfterValidator(timezone)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Capability = Annotated[str, Field(pattern=r"^[A-Za-z0-9+=/:.-]{1,64}$")]
"""As CAPABILITY tells it; a name without `=` covers those with it."""
SipTarget = Annotated[str, AfterValidator(_sip_target)]
"""A SIP URI with an IP address, for what a name means changes with the resolver."""
Registrar = Annotated[str, AfterValidator(_registrar)]
"""Where we register: a SIP URI without a user."""
SipUser = Annotated[str, Field(pattern=r"^[A-Za-z0-9+*._-]{1,64}$")]
"""A user part that needs no escapes."""
Operator = Annotated[str, AfterValidator(_operator)]
"""An extension, or a SIP or tel URI without anything that would need quoting."""
RetentionRules = Annotated[
    tuple[Annotated[RetentionRule, PlainValidator(_retention_rule)], ...],
    AfterValidator(_one_of_a_kind),
]
"""Sentences such as `voice older than 60 days and heard -> Trash`."""
Url = Annotated[SecretUrl, PlainValidator(_secret_url)]


def _instance_or(parse: object) -> PlainValidator:
    def validate(value: object) -> object:
        assert callable(parse)
        return value if isinstance(value, Listen) else parse(value)

    return PlainValidator(validate)


ListenAddress = Annotated[Listen, _instance_or(parse_listen)]
SipListenAddress = Annotated[Listen, _instance_or(parse_sip_listen)]
NetworkAddress = Annotated[Network, PlainValidator(parse_network)]
