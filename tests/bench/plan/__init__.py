"""Tests of ``bench.plan``."""
