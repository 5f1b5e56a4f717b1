"""The text functions of ``hnrnn.text``, by the name that ``reports`` imports them by."""

from hnrnn.text import LONGEST, counted, has_space, one_line

__all__ = ["LONGEST", "counted", "has_space", "one_line"]
