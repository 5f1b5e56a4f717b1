"""Tests of ``bench.backends``."""
