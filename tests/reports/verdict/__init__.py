"""Tests of ``reports.verdict``."""
