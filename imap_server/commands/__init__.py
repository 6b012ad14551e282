"""IMAP commands, one module a family."""
