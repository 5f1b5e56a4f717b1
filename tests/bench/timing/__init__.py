"""Tests of ``bench.timing``."""
