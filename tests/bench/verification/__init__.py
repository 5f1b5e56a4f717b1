"""Tests of ``bench.verification``."""
