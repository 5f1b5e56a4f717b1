"""Tests of ``reports.documents``."""
