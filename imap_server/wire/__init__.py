"""IMAP on the wire: tokens, commands, responses (RFC 3501 section 9)."""
