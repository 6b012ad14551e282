"""Unified messaging: voicemail, fax and invoices in one mailbox."""
