"""Benchmarks: the cost of Saltfish compared with bare frameworks, interleaved on the same machine."""
