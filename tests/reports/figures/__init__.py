"""Tests of ``reports.figures``."""
