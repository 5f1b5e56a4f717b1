"""Tests of ``bench.execution``."""
