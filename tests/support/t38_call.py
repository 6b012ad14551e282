"""A T.38 call to a real server: T.38 from the first offer on, its UDPTL through a bad network.

    with RtpRelay(Profile(loss=0.1)) as relay:
        sent = send_t38(("127.0.0.1", 5060), "+15551230002", file, relay)

What the machine sends is impaired; what it hears is not (it reads primary packets only).
"""

import select
import socket
import time
from pathlib import Path

from tests.support.fax_machine import Sent
from tests.support.media_socket import MediaSocket
from tests.support.relay import RtpRelay
from tests.support.t38_machine import SendingT38
from tests.support.telephone_sip import Identity, SipMessage, media_address, read_message

Address = tuple[str, int]
TICK_SECONDS = 0.02
LIMIT_SECONDS = 180.0
_HOST = "127.0.0.1"
_ANSWER_SECONDS = 10.0
_OFFER = (
    "v=0\r\no=fax 1 1 IN IP4 {host}\r\ns=fax\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
    "a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:400\r\n"
    "a=T38FaxUdpEC:t38UDPRedundancy\r\n"
)


def send_t38(
    server: Address, number: str, file: Path, relay: RtpRelay, *, caller: str, ecm: bool = True
) -> Sent:
    """Call `number`, send `file`, hang up; what the machine thinks of it.

    Raises RuntimeError if the call is not taken, TimeoutError if the fax does not end.
    """
    machine = SendingT38(file, ident=caller, ecm=ecm)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip, MediaSocket(_HOST) as media:
        sip.bind((_HOST, 0))
        sip.settimeout(_ANSWER_SECONDS)
        uri = f"sip:{number}@{server[0]}:{server[1]}"
        identity = Identity(sip.getsockname(), uri, f"<sip:{caller}@{_HOST}>")
        sip.sendto(identity.invite(_OFFER.format(host=_HOST, port=relay.offered[1])), server)
        answer = _final(sip)
        sip.sendto(identity.acknowledge(answer), server)
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.reason}")
        place = media_address(answer.body.replace("m=image", "m=audio"))
        relay.connect(place, media.getsockname())
        sent = _spoken(machine, media, relay.address)
        sip.sendto(identity.bye(), server)
    return sent


def _final(sip: socket.socket) -> SipMessage:
    while (message := read_message(sip.recv(65_535))).status < 200:
        pass
    return message


def _spoken(machine: SendingT38, media: socket.socket, there: Address) -> Sent:
    started = time.monotonic()
    for tick in range(int(LIMIT_SECONDS / TICK_SECONDS)):
        for data in machine.tick():
            media.sendto(data, there)
        while (left := started + (tick + 1) * TICK_SECONDS - time.monotonic()) > 0:
            if select.select([media], [], [], left)[0]:
                machine.hear(media.recv(4096))
        if machine.result is not None:
            return machine.result
    raise TimeoutError(f"the fax did not end in {LIMIT_SECONDS} s")
