"""The telephone answering application."""
