"""Tests of ``reports.pages``."""
