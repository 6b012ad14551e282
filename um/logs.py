"""Structured logs, one line an event; no secret ever."""
