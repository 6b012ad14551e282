"""Measurements: each script measures beside a peer where there is one, in the same run."""
