"""The tests: one file per module, named after it."""
