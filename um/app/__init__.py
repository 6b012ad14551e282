"""The composition root: joins engines, services and adapters into one process."""
