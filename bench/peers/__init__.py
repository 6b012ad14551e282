"""The peers that the benchmarks measure in the same run."""
