"""Tests of ``reports.ci``."""
