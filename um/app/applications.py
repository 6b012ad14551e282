"""What answers calls: voicemail and fax, built once for the process."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fax.app import FaxService, FaxSettings
from fax.spandsp import CallingFaxDetector, load
from um.app.keys import key_map
from um.app.services import Services
from um.config import Config, Role
from um.telephony.application import ApplicationFactory
from voicemail.app import Owners, VoicemailService, VoicemailSettings
from voicemail.dialogue import Limits
from voicemail.prompts import Prompts

if TYPE_CHECKING:
    from um.app.replay import Recover


class Applications:
    """Voicemail and fax over the services.

    `start` before the first call; calls are taken in the role `telephony` only, but what a crash
    left in the spool is delivered in every role.
    """

    def __init__(self, services: Services) -> None:
        self._takes_calls = Role.TELEPHONY in services.ports.config.server.roles
        self.voicemail = voicemail_service(services)
        self.fax = fax_service(services)

    @property
    def factories(self) -> Mapping[str, ApplicationFactory]:
        """Who takes a call, by the name that a route or a hand-over carries."""
        return {
            "voice": self.voicemail.application,
            "fax": self.fax.application,
            "retrieval": self.voicemail.retrieval,
            "login": self.voicemail.login,
        }

    @property
    def recoveries(self) -> "Mapping[str, Recover]":
        """Who finishes a spool entry, by its fact `kind`."""
        return {"voice": self.voicemail.recover, "fax": self.fax.recover}

    async def start(self) -> None:
        """Read prompts and the modem library ahead, start the workers. Raises UnavailableError."""
        if self._takes_calls:
            # The library takes half a second to load: not in the first call.
            library = asyncio.to_thread(load)
            await asyncio.gather(self.voicemail.preload(), self.fax.start(), library)

    async def retry_pending(self) -> None:
        """Deliver what waits in the spool for the storage."""
        await self.voicemail.retry_pending()
        await self.fax.retry_pending()

    async def stop(self) -> None:
        """Finish the deliveries of calls that have ended, end the workers."""
        await self.voicemail.drain()
        await self.fax.close()


def voicemail_service(services: Services) -> VoicemailService:
    """Voicemail, as the configuration says."""
    ports = services.ports
    folder = ports.config.server.data_dir / "prompts"
    limits = Limits(max_seconds=ports.config.telephony.max_message_seconds)
    return VoicemailService(
        ports.spool,
        services.delivery,
        ports.store,
        ports.clock,
        Prompts(own=folder / "own", made=folder / "made"),
        VoicemailSettings(
            domain=ports.config.server.domain,
            limits=limits,
            keys=key_map(ports.config),
            operator=ports.config.telephony.operator,
        ),
        Owners(
            greetings=ports.greetings,
            mailboxes=services.mailboxes,
            accounts=services.accounts,
            authenticator=services.authenticator,
            find_number=services.call_door.find_number,
            outbox=services.forward.queue,
        ),
        ports.metrics,
        fax_tones=CallingFaxDetector,
        steps=ports.steps,
    )


def fax_service(services: Services) -> FaxService:
    """Fax, as the configuration says."""
    ports = services.ports
    return FaxService(
        ports.spool,
        services.delivery,
        ports.store,
        ports.quarantine,
        ports.clock,
        fax_settings(ports.config),
        ports.metrics,
        steps=ports.steps,
    )


def fax_settings(config: Config) -> FaxSettings:
    """What the configuration says about faxes."""
    return FaxSettings(
        domain=config.server.domain,
        ecm=config.fax.ecm,
        max_pages=config.fax.max_pages,
        enable_t38=config.fax.enable_t38,
        t38_offer_seconds=config.fax.t38_offer_seconds,
        paper=config.fax.paper,
        header_line=config.fax.header_line,
        ocr=config.fax.ocr,
        ocr_language=config.fax.ocr_language,
        ocr_seconds=config.fax.ocr_seconds,
        max_call_seconds=config.telephony.max_call_seconds,
    )
