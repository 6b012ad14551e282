"""The IMAP server: a sans-IO engine (`wire`, `state`, `selected`, `connection`) under Twisted."""
