"""Fax reception and fax documents."""
