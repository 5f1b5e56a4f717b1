"""Tests of ``reports.history``."""
