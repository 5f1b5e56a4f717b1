"""Tests of ``bench.engines``."""
