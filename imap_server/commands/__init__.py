"""IMAP commands, one module a family: what each does, over `um.service` and the session's context."""
