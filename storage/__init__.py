"""The ports of `um.core.ports` on SQLite, PostgreSQL, files and memory."""
