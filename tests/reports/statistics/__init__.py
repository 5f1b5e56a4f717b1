"""Tests of ``reports.statistics``."""
