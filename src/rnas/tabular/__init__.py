"""Benchmarks that know the truth: tables of the robust accuracy of every cell."""
