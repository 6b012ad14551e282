"""The use cases over the opened ports: what `serve` and the command line work with."""

from um.app.forwarding import ForwardServices
from um.app.ports import Ports
from um.config import Config
from um.policy.quota import worst_case_voice_octets
from um.service.accounts import AccountService
from um.service.app_passwords import AppPasswords
from um.service.authentication import Authenticator
from um.service.core_desk import CoreDesk
from um.service.delivery import Delivery
from um.service.house_records import HouseRecords
from um.service.housekeeping import Housekeeping, HousekeepingSettings
from um.service.mailboxes import MailboxService
from um.service.message_waiting import MessageWaiting, Tallies
from um.service.notices import QuotaNotices
from um.service.numbering import NumberService
from um.service.operator_tokens import OperatorTokens
from um.service.password_reset import PasswordReset
from um.service.passwords import Argon2Hasher
from um.service.profile import Profiles
from um.service.purge import Purge
from um.service.purge_clock import PurgeClock
from um.service.recipients import Directory
from um.service.retention import Retention
from um.service.routing import CallDoor
from um.service.security_notices import SecurityNotices
from um.service.settings import AccountSettings
from um.service.views import Views
from um.service.web_sessions import WebSessions


class Services:
    """One of each, sharing the ports."""

    def __init__(self, ports: Ports) -> None:
        store, blobs, clock, metrics = ports.store, ports.blobs, ports.clock, ports.metrics
        self.ports = ports
        self.settings = account_settings(ports.config)
        self._hasher = Argon2Hasher(clock)
        self.accounts = AccountService(store, clock, self._hasher, self.settings)
        self.numbers = NumberService(store, clock, self.settings)
        self.directory = Directory(store, self.settings)
        self.authenticator = Authenticator(
            store, clock, self._hasher, self.settings, metrics=metrics
        )
        self.delivery = Delivery(store, blobs, ports.bus, clock, steps=ports.steps, metrics=metrics)
        self.sessions = WebSessions(store, clock)
        self.tokens = OperatorTokens(store, clock)
        self.app_passwords = AppPasswords(store, clock, self.settings)
        self.notices = QuotaNotices(store, self.delivery, clock)
        security = SecurityNotices(self.delivery, clock, self.settings)
        self.forward = ForwardServices(ports, self.delivery, security)
        self.tallies = Tallies()
        self.message_waiting = MessageWaiting(store, self.settings, self.tallies)
        self.core_desk = CoreDesk(
            store,
            clock,
            self.settings,
            self.tallies,
            ring_seconds=ports.config.telephony.ring_seconds,
        )
        self.mailboxes = MailboxService(store, blobs, self.delivery, clock)
        self.call_door = CallDoor(
            store,
            clock,
            self.settings,
            voice_octets=worst_case_voice_octets(ports.config.telephony.max_message_seconds),
            access_codes=ports.config.telephony.access_codes,
            bus=ports.bus,
        )
        self.profiles = Profiles(store, clock, self.settings)
        self.views = Views(store, clock, self.settings)
        self.records = HouseRecords(store, self.settings)
        self.password_reset = PasswordReset(
            store, clock, self._hasher, self.forward.signer, security, self.settings
        )
        self.purge = Purge(
            store,
            blobs,
            ports.spool,
            ports.quarantine,
            ports.greetings,
            ports.exports,
            clock,
            steps=ports.steps,
            metrics=metrics,
        )
        self.purge_clock = PurgeClock(store, clock, metrics=metrics)
        self.retention = Retention(store, clock, self.settings, ports.config.policy.retention)
        self.housekeeping = Housekeeping(
            store,
            blobs,
            ports.quarantine,
            self.purge,
            clock,
            HousekeepingSettings(
                trash_days=ports.config.policy.trash_days,
                night_hour=ports.config.policy.night_hour,
                timezone=ports.config.server.timezone,
            ),
            outbox=self.forward.queue,
            retention=self.retention,
            metrics=metrics,
        )

    def close(self) -> None:
        """End the threads of our own."""
        self._hasher.close()


def account_settings(config: Config) -> AccountSettings:
    """What [server] and [policy] say about accounts."""
    return AccountSettings(
        domain=config.server.domain,
        default_region=config.server.default_region,
        timezone=config.server.timezone,
        language=config.server.language,
        quota_octets=config.policy.quota_octets,
        number_hold_months=config.policy.number_hold_months,
        purge_after_months=config.policy.purge_after_months,
        reset_after_hours=config.policy.reset_after_hours,
    )
