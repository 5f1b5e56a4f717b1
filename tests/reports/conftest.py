"""What the tests of reports share: pages whose pictures nobody looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.figures import models as figures
from reports.pages import pictures

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a494441"
    "5478da63f80f00010101001cb08c990000000049454e44ae426082"
)
"""A picture of one pixel."""


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: every picture of a page is a dot."""
    for module, names in (
        (figures, ("overview", "curves", "backends", "eras")),
        (pictures, ["trend"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(figures, "save", lambda _, path: Path(path).write_bytes(DOT))
