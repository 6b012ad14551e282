"""Decisions without input or output: quota, retention, life cycle, lock-out."""
