"""The PNG figures. This package imports matplotlib, even if ``MPLBACKEND`` names no known backend.

A notebook passes the name of its own backend to every process that it starts. matplotlib cannot be
imported without that backend, which is not needed here; where it is installed, pyplot uses it.
"""

import os
import sys
from contextlib import suppress

if "matplotlib" not in sys.modules:
    backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib as mpl

    if backend is not None:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend
