"""SIP grammar, messages, transactions and dialogs (RFC 3261)."""
