"""Tests, intervals and power: pure functions on arrays, of use beyond this project."""
