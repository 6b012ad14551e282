"""An invoice as a billing system would send it: one drawn page as a PDF, in an ordinary mail."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from io import BytesIO

import img2pdf
from PIL import Image, ImageDraw, ImageFont

LINES = (
    ("Business line, November 2026", "24.90"),
    ("Mailbox 100 MB with voicemail and fax", "0.00"),
    ("Calls inside the country, 312 minutes", "3.12"),
    ("Calls abroad, 18 minutes", "1.44"),
)


def invoice_pdf(number: str = "2026-11-0042") -> bytes:
    """One A4 page at 100 dots an inch."""
    page = Image.new("L", (827, 1169), 255)
    draw = ImageDraw.Draw(page)
    large, text = ImageFont.load_default(34), ImageFont.load_default(19)
    draw.text((80, 90), "Example Telephone Company", fill=0, font=large)
    draw.text((80, 190), f"Invoice {number}", fill=0, font=large)
    draw.line((80, 260, 747, 260), fill=0, width=2)
    for row, (what, amount) in enumerate(LINES):
        draw.text((80, 290 + 42 * row), what, fill=0, font=text)
        draw.text((747, 290 + 42 * row), amount, fill=0, font=text, anchor="ra")
    total = sum(float(amount) for _, amount in LINES)
    draw.line((80, 480, 747, 480), fill=0, width=2)
    draw.text((80, 500), "Total", fill=0, font=text)
    draw.text((747, 500), f"{total:.2f}", fill=0, font=text, anchor="ra")
    png = BytesIO()
    page.save(png, "PNG")
    return bytes(
        img2pdf.convert(png.getvalue(), layout_fun=img2pdf.get_fixed_dpi_layout_fun((100, 100)))
    )


def invoice_mail(
    recipient: str, pdf: bytes, *, when: datetime, sender: str = "billing@example.net"
) -> bytes:
    """The mail with CRLF line ends, as LMTP carries it."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Example Telephone Company <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = "Your invoice 2026-11-0042: 29.46"
    mail["Date"] = format_datetime(when)
    mail["Message-ID"] = f"<invoice-2026-11-0042.{int(when.timestamp())}@example.net>"
    mail.set_content("Dear customer,\n\nyour invoice is attached.\n")
    mail.add_attachment(
        pdf, maintype="application", subtype="pdf", filename="invoice-2026-11-0042.pdf"
    )
    return mail.as_bytes()
