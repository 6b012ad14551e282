"""All storage ports in memory: for tests, with the laws of the real ones (rollback included)."""

from storage.memory.files import MemoryBlobStore, MemoryGreetings, MemoryQuarantine
from storage.memory.spool import MemorySpool
from storage.memory.store import MemoryStore

__all__ = ["MemoryBlobStore", "MemoryGreetings", "MemoryQuarantine", "MemorySpool", "MemoryStore"]
