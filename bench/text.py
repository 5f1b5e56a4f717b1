"""The text functions of ``hnrnn.text``, for ``bench`` and ``reports``."""

from hnrnn.text import counted, one_line

__all__ = ["counted", "one_line"]
