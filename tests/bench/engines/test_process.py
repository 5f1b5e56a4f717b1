"""Worker processes, from their first line to their last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.store.records import OK
from tests.places import ROOT

COUNTED = """
import sys
from pathlib import Path
from bench.engines.local import run_all
from tests.nights import Night
from tests.trainers import CountingTrainer
if __name__ == "__main__":
    print(Night(Path(sys.argv[1]), trainer=CountingTrainer).run(run_all))
"""


@pytest.mark.slow
def test_no_semaphore_is_left_behind(tmp_path: Path) -> None:
    """Workers that count with tqdm, as torch's compiler does, leave nothing to be warned of."""
    pytest.importorskip("tqdm", reason="torch does without it")
    script = tmp_path / "night.py"
    script.write_text(COUNTED)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr) == (f"{[OK] * 4}\n", "")
