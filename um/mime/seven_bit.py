"""A message for a mail server that takes seven bits only (RFC 6152 §3): 8-bit parts are encoded."""

from email import message_from_bytes
from email.policy import SMTP


def seven_bit(data: bytes) -> bytes:
    """The same message with every 8-bit body in quoted-printable or base64, CRLF kept."""
    message = message_from_bytes(data, policy=SMTP.clone(cte_type="7bit"))
    return message.as_bytes().decode("ascii", "replace").encode("ascii", "replace")
