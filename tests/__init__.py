"""The tests: one file per module, named after it."""

import os

# Two threads on busy cores would spin for minutes. Torch reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
