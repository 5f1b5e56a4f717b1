"""An intended change: why a baseline was accepted although it departs, and which parts of it do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import StoreError
from bench.text import one_line
from reports.runs import foreign
from reports.runs.frozen import ACCEPTED

LISTS = ("from_reference", "from_baseline")


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

    def as_json(self) -> str:
        """Return the content of the file in the baseline's folder."""
        return json.dumps(asdict(self), indent=2) + "\n"


def read_acceptance(baseline: Path) -> Acceptance | None:
    """Return what a baseline was accepted for; None for one that was only frozen.

    Raises StoreError for a file that cannot be read.
    """
    path = baseline / ACCEPTED
    if not path.exists():
        return None
    try:
        content = json.loads(foreign.read(path))
        lists = {name: tuple(map(str, content.pop(name))) for name in LISTS}
        return Acceptance(**{name: str(value) for name, value in content.items()}, **lists)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read ({one_line(error)}): accept the baseline again with "
            "`python -m reports baseline accept`, or freeze another night"
        ) from error
