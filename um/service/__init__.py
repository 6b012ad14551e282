"""Use cases, over the ports of `um.core.ports`."""
