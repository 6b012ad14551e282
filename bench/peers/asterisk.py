"""Asterisk's own VoiceMail(), by the Asterisk of the tests: a mailbox for each call, WAV, no e-mail."""

from pathlib import Path
from typing import Self

from bench.peers.load import cpu_seconds
from tests.support.asterisk import Asterisk
from tests.support.server import Address

NOWHERE = Address("127.0.0.1", 5070)
CALLER = "+15559870002"
DIALPLAN = "exten => _9.,1,VoiceMail(${EXTEN}@default)\n"
"""Continues the context of phones: `9` and the number of the call is a mailbox.

The greeting is the same for all (no extension is spoken), so that all begin to record alike.
"""


class AsteriskVoicemail:
    """A running Asterisk with `calls` mailboxes; a context manager."""

    name = "Asterisk VoiceMail()"
    user = "9[call_number]"

    def __init__(self, folder: Path, calls: int) -> None:
        self.asterisk = Asterisk(
            folder,
            um=NOWHERE,
            phones={CALLER: 9},
            dialplan=DIALPLAN,
            boxes=[f"9{number} => 1234,bench" for number in range(calls + 1)],
            rtp_ports=4 * calls + 40,
        )

    def __enter__(self) -> Self:
        self.asterisk.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.asterisk.__exit__()

    @property
    def sip(self) -> Address:
        return self.asterisk.sip

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.asterisk.process_ids))

    def media_ports(self) -> range:
        return self.asterisk.rtp_ports

    def recordings(self) -> list[Path]:
        """The finished ones: a message is renamed into INBOX when it is complete.

        Box 90 is the probe's.
        """
        return sorted(self.asterisk.folder.glob("spool/voicemail/default/9[1-9]*/INBOX/*.wav"))
