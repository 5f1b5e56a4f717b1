"""Tests of ``bench.ensemble``."""
