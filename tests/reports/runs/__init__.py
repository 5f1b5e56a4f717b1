"""Tests of ``reports.runs``."""
