"""The wire format of IMAP4rev1: octets to command values, values to octets; no I/O, no state."""
