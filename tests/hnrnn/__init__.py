"""Tests of ``hnrnn``."""
