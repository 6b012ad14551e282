"""What the portal's pages draw with."""

from fax.sheets import Sheets
from um.app.services import Services
from um.web.portal import PortalDesk
from um.web.portal.desk import SHEETS_AT_ONCE
from voicemail.waveform import Waveforms


def portal_desk(services: Services) -> PortalDesk:
    """The drawing programs, and what the configuration says to owners."""
    config = services.ports.config
    return PortalDesk(
        draw_peaks=Waveforms().draw,
        draw_sheets=Sheets(at_once=SHEETS_AT_ONCE).draw,
        ring_seconds=config.telephony.ring_seconds,
        purge_months=config.policy.purge_after_months,
    )
