"""Mail in (LMTP, SMTP) and mail out."""
