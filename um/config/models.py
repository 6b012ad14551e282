"""The configuration file's tables. The defaults here are `um.example.toml`; every table may be left out."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from um.config.relay import parse_relay
from um.config.types import (
    Capability,
    Domain,
    FilePath,
    Language,
    ListenAddress,
    MailAddress,
    NetworkAddress,
    Operator,
    Port,
    Positive,
    QuotaOctets,
    Region,
    Registrar,
    RegistrationSeconds,
    RetentionRules,
    SecretUrl,
    Section,
    SessionSeconds,
    SipListenAddress,
    SipTarget,
    SipUser,
    Switch,
    Timezone,
    Url,
    Whole,
    written,
)


class Role(StrEnum):
    """What this process does; a node may do a part."""

    IMAP = "imap"
    SMTP = "smtp"
    WEB = "web"
    TELEPHONY = "telephony"
    HOUSEKEEPING = "housekeeping"


class ServerConfig(Section):
    """[server]: who we are and where our files lie."""

    domain: Domain = "um.example.net"
    """Mailbox addresses are NUMBER@domain and ACCOUNT@domain."""
    data_dir: FilePath = written("./data")
    """Spool, blobs, quarantine, SQLite; made if missing."""
    roles: tuple[Role, ...] = tuple(Role)
    default_region: Region = "CA"
    """How a national telephone number is read."""
    timezone: Timezone = "America/Toronto"
    """Of a new account."""
    language: Language = "en"
    """Of a new account."""


class StorageConfig(Section):
    """[storage]: where rows and message bodies are kept."""

    database: Url = written("sqlite")
    """`sqlite` (data_dir/um.db) or postgresql+psycopg://user@host/database."""
    blobs: Url = written("file")
    """`file` (data_dir/blobs)."""

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: SecretUrl) -> SecretUrl:
        if value.value != "sqlite" and not value.value.startswith("postgresql+psycopg://"):
            raise ValueError("must be sqlite or postgresql+psycopg://USER@HOST/DATABASE")
        return value

    @field_validator("blobs")
    @classmethod
    def _known_blobs(cls, value: SecretUrl) -> SecretUrl:
        if value.value.startswith("s3://"):
            # Refused, not ignored: bodies must not lie elsewhere than the operator asked for.
            raise ValueError("s3:// does not work yet; use file")
        if value.value != "file":
            raise ValueError("must be file")
        return value


class TlsConfig(Section):
    """[tls]: PEM files; without them a self-signed certificate is made in data_dir."""

    certificate: FilePath | None = None
    key: FilePath | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are given together or not at all")
        return self


class ImapClientConfig(Section):
    """[[imap.client]]: a mail program that trips over something."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    """What it calls itself with ID; `*` and `?` as in a shell."""
    disabled_capabilities: tuple[Capability, ...]


class ImapConfig(Section):
    """[imap]: the mailboxes."""

    listen: tuple[ListenAddress, ...] = written(("127.0.0.1:1143",))
    """In clear, with STARTTLS."""
    listen_tls: tuple[ListenAddress, ...] = written(("127.0.0.1:1993",))
    allow_plaintext_login: Switch = False
    max_connections_per_account: Positive = 20
    max_connections_per_address: Positive = 50
    compress: Switch = False
    """COMPRESS=DEFLATE (RFC 4978)."""
    literal_minus: Switch = False
    """LITERAL- in place of LITERAL+ (RFC 7888 §5)."""
    disabled_capabilities: tuple[Capability, ...] = ()
    """What no mail program is offered."""
    client: tuple[ImapClientConfig, ...] = ()


class SmtpConfig(Section):
    """[smtp]: mail in, mail out."""

    listen_lmtp: tuple[ListenAddress, ...] = written(("127.0.0.1:1024",))
    listen_smtp: tuple[ListenAddress, ...] = written(("127.0.0.1:1025",))
    invoice_senders: tuple[MailAddress, ...] = ("billing@example.net",)
    """Envelope senders whose mail is an invoice, if the client is trusted."""
    trusted_clients: tuple[NetworkAddress, ...] = written(("127.0.0.0/8",))
    relay: Url = written("smtp://127.0.0.1:2525")
    """Where mail that leaves the house goes (`um.config.relay`)."""
    forward_from: MailAddress = "noreply@um.example.net"
    """Its From address; mail to its domain comes back to our LMTP or SMTP."""

    @field_validator("relay")
    @classmethod
    def _known_relay(cls, value: SecretUrl) -> SecretUrl:
        parse_relay(value.value)
        return value


class CoreConfig(Section):
    """[[telephony.core]]: a core that is known by digest, not by its address."""

    name: Annotated[str, Field(min_length=1)]
    username: Annotated[str, Field(min_length=1)]
    password_file: FilePath


class RegistrationConfig(Section):
    """[[telephony.registration]]: a core that wants us to register with it."""

    registrar: Registrar
    username: SipUser
    password_file: FilePath
    contact_user: SipUser | None = None
    """What it calls us by; None: `username`."""
    expires_seconds: RegistrationSeconds = 3600


class CredentialsConfig(Section):
    """[[telephony.credentials]]: how a core that challenges our requests is answered."""

    realm: Annotated[str, Field(min_length=1)]
    username: Annotated[str, Field(min_length=1)]
    password_file: FilePath


MailboxSource = Literal["target", "request-uri", "diversion", "history-info"]


class TelephonyConfig(Section):
    """[telephony]: calls and their limits."""

    listen: tuple[SipListenAddress, ...] = written(("udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"))
    rtp_ports: tuple[Port, Port] = (20_000, 20_998)
    """First and last UDP port of media, both included."""
    trusted_cores: tuple[NetworkAddress, ...] = written(("127.0.0.0/8",))
    """Only these may send calls."""
    access_codes: tuple[str, ...] = ("*98",)
    key_map: Literal["asterisk", "freeswitch"] = "asterisk"
    """What the keys of the telephone menus ask for."""
    key_map_file: FilePath | None = None
    """A map of one's own, in place of `key_map`."""
    mwi_targets: tuple[SipTarget, ...] = ()
    """Cores that are told of every lamp without having asked."""
    ring_seconds: Positive = 20
    max_message_seconds: Positive = 120
    max_call_seconds: Positive = 7200
    session_expires_seconds: SessionSeconds = 1800
    """How long a call may last without a refresh (RFC 4028)."""
    operator: Operator | None = None
    """Whom `0` in a deposit connects the caller with; nobody if not set."""
    send_silence: bool = False
    """RTP also while nothing is spoken; otherwise one packet a second."""
    mailbox_from: Annotated[tuple[MailboxSource, ...], Field(min_length=1)] = (
        "target",
        "request-uri",
        "diversion",
        "history-info",
    )
    """Where the mailbox of a call is read from: the first that names one of our numbers."""
    core: tuple[CoreConfig, ...] = ()
    registration: tuple[RegistrationConfig, ...] = ()
    credentials: tuple[CredentialsConfig, ...] = ()
    tls_ca_file: FilePath | None = None
    """PEM: who may vouch for cores that we connect to over TLS; None: the system's authorities."""

    @field_validator("rtp_ports")
    @classmethod
    def _a_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError("the first port is greater than the last")
        return value


class FaxConfig(Section):
    """[fax]: reception of faxes."""

    enable_t38: Switch = True
    t38_offer_seconds: Annotated[float, Field(ge=0, le=30)] = 2.5
    """0: we take T.38 and do not offer it."""
    ecm: Switch = True
    max_pages: Positive = 200
    paper: Literal["a4", "letter"] = "a4"
    """Sets the page's width; its height follows what was received."""
    header_line: Switch = True
    """Sender, time and page number in a band above each page."""
    ocr: Switch = False
    """Read the pages by tesseract before delivery: IMAP SEARCH finds their words."""
    ocr_language: str = Field(default="", pattern=r"^([a-z_]{3,20}(\+[a-z_]{3,20}){0,4})?$")
    """Tesseract's names (`deu+eng`); empty: the account's language."""
    ocr_seconds: Positive = 60
    """How long at most a fax waits for its text."""


class WebConfig(Section):
    """[web]: what is seen over HTTP."""

    listen_tls: tuple[ListenAddress, ...] = written(("127.0.0.1:8443",))
    """Portal and API."""
    listen: tuple[ListenAddress, ...] = written(("127.0.0.1:8080",))
    """Plain: /healthz, /metrics and /core."""
    trusted_clients: tuple[NetworkAddress, ...] = written(("127.0.0.0/8", "::1/128"))
    """Who may use the plain port, and holds any number of connections (a proxy)."""
    max_connections_per_address: Positive = 200
    """To each listener; per /64 of IPv6."""
    webhook_networks: tuple[NetworkAddress, ...] = ()
    """Where webhooks may be posted although it is not public, such as a CRM in 10.0.0.0/8."""
    core_token_file: FilePath | None = None
    """One line; whoever bears it may use /core of the plain port from any address."""
    public_url: str = "https://127.0.0.1:8443"


class PolicyConfig(Section):
    """[policy]: room, retention and the end of an account."""

    quota_octets: QuotaOctets = 104_857_600
    """Of a new account: sum of RFC822.SIZE over all its folders."""
    purge_after_months: Positive = 2
    """Calendar months from closure to purge, in the account's time zone."""
    number_hold_months: Whole = 2
    """Calendar months before a number that stopped serving may go to another account."""
    trash_days: Whole = 7
    """What the owner deleted by phone or portal stays so long in Trash; 0: for good."""
    retention: RetentionRules = ()
    """What goes by its age, in every account without a word of its own; nothing if empty."""
    reset_after_hours: Whole = 24
    """How long an address is confirmed before the link for a forgotten password goes there, too."""
    night_hour: Annotated[int, Field(ge=0, le=23)] = 3
    """When the long work of housekeeping is done, in the time zone of [server]."""


class Config(Section):
    """The whole file."""

    server: ServerConfig = Field(default_factory=ServerConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    tls: TlsConfig = Field(default_factory=TlsConfig)
    imap: ImapConfig = Field(default_factory=ImapConfig)
    smtp: SmtpConfig = Field(default_factory=SmtpConfig)
    telephony: TelephonyConfig = Field(default_factory=TelephonyConfig)
    fax: FaxConfig = Field(default_factory=FaxConfig)
    web: WebConfig = Field(default_factory=WebConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
