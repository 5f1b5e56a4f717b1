"""Tests of ``bench.store``."""
