"""A real node on a fake venue on loopback, for contract tests and benchmarks."""
