"""An intended change: why a baseline was accepted although it departs, and which parts of it do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.text import one_line
from reports.runs import untrusted_files
from reports.runs.frozen import ACCEPTED


@dataclass(frozen=True)
class Acceptance:
    """Why a night became the baseline, although it is another computation."""

    reason: str
    accepted: str
    """The time in UTC, such as 2026-01-02T03:04:05Z."""
    commit: str
    """The commit that made the runs; several are joined by a comma."""
    from_reference: tuple[str, ...]
    """The configurations that depart from the reference runs, such as ``Model4 nn``."""
    from_baseline: tuple[str, ...]
    """The configurations that depart from the baseline before."""
    changes: tuple[str, ...] = ()
    """What else changes from the baseline before, one line each."""

    def lines(self) -> list[str]:
        """Return all that is accepted, one line each."""
        return [
            f"departs from the reference runs: {', '.join(self.from_reference) or 'nothing'}",
            f"departs from the baseline before: {', '.join(self.from_baseline) or 'nothing'}",
            *self.changes,
        ]

    def as_json(self) -> str:
        """Return the content of the file in the baseline's folder."""
        return json.dumps(asdict(self), indent=2) + "\n"


def acceptance_of(content: Mapping[str, Any]) -> Acceptance:
    """Return what the content of such a file says; raise TypeError, KeyError or AttributeError."""
    texts = [str(content[name]) for name in ("reason", "accepted", "commit")]
    lists = [tuple(map(str, content[name])) for name in ("from_reference", "from_baseline")]
    changes = tuple(map(str, content.get("changes", ())))  # older files have none
    return Acceptance(texts[0], texts[1], texts[2], lists[0], lists[1], changes)


def read_acceptance(baseline: Path) -> Acceptance | None:
    """Return what a baseline was accepted for; None for one that was only frozen.

    Raises StoreError for a file that cannot be read.
    """
    path = baseline / ACCEPTED
    if not path.exists():
        return None
    try:
        return acceptance_of(json.loads(untrusted_files.read(path)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read ({one_line(error)}): accept the baseline again with "
            "`python -m reports baseline accept`, or freeze another night"
        ) from error
