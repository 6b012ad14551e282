"""Delivery status notifications (RFC 3464), read far enough to know whether mail came back for good.

Laws: any octets give a result, nothing raises; what is no such report says nothing.
"""

from dataclasses import dataclass

from um.mime.clean import clean_text
from um.mime.fields import parse_fields
from um.mime.headers import decode_text
from um.mime.structure import Part, parse_structure

MAX_REPORT_OCTETS = 64 * 1024
"""Of the machine-readable part; honest ones have a kilobyte."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one recipient's block says."""

    action: str
    """`failed`, `delayed`, `delivered`, `relayed` or `expanded`, in small letters."""
    status: str
    """Such as `5.1.1` (RFC 3463)."""
    diagnostic: str

    @property
    def is_final_failure(self) -> bool:
        """It will never arrive, by the fault of its address or content (class 5, RFC 3463 §2)."""
        return self.action == "failed" and self.status.startswith("5.")


def read_report(data: bytes) -> DeliveryReport | None:
    """The report in a message: of several recipients the one that failed; None if it is none."""
    root = parse_structure(data)
    if root.type.media != b"multipart/report":
        return None
    for part in root.children:
        if part.type.media == b"message/delivery-status":
            return _status(data, part)
    return None


def _status(data: bytes, part: Part) -> DeliveryReport | None:
    body = data[part.body : part.end][:MAX_REPORT_OCTETS].replace(b"\r\n", b"\n")
    found = [_of_recipient(block + b"\n") for block in body.split(b"\n\n")]
    reports = [each for each in found if each is not None]
    failed = [each for each in reports if each.is_final_failure]
    return next(iter(failed or reports), None)


def _of_recipient(block: bytes) -> DeliveryReport | None:
    fields = parse_fields(block)
    action = fields.first(b"action")
    if action is None:
        return None

    def text(name: bytes, limit: int) -> str:
        return clean_text(decode_text(fields.first(name) or b""), limit)

    return DeliveryReport(
        action=decode_text(action).lower(),
        status=text(b"status", 20),
        diagnostic=text(b"diagnostic-code", 200),
    )
