"""The IMAP server: a sans-I/O engine on Twisted."""
