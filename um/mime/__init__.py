"""Structure of messages: one scan, sections by offset, and the building of our own kinds. Pure."""
