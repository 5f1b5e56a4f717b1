"""``python -m tests.wheel``: the wheel is built, installed into an empty environment, and used.

In a folder that has nothing to do with the checkout, and that holds folders named like the
packages. What it renders must be what the checkout renders.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.places import ROOT

PACKAGES = ("hnrnn", "bench", "reports")
TRAINING = ("run", "--profile", "smoke", "--variants", "Model0", "Model5", "--seeds", "1")
TABLE = "import hnrnn; hnrnn.published_table('Model5').to_csv('table.csv', index=False)"
TIMING = ("throughput", "--profile", "smoke", "--variants", "Model5", "--backends", "nn")


class WrongError(Exception):
    """A command's exit code is another than it should be, or a page differs."""


def carry_out(
    words: Sequence[str | Path], environment: Mapping[str, str], cwd: Path, codes: Sequence[int]
) -> None:
    """Print a command and carry it out; raise WrongError for another exit code than ``codes``."""
    print(f"+ {shlex.join(map(str, words))}", flush=True)
    code = subprocess.run(words, env=environment, cwd=cwd, check=False).returncode
    if code not in codes:
        raise WrongError(f"exit code {code}, not {' or '.join(map(str, codes))}")


def install(folder: Path) -> Path:
    """Build the wheel and install it; return the new environment's programs."""
    source = folder / "source"  # what an earlier build left in the checkout is not taken along
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    constrained = os.environ | {"PIP_CONSTRAINT": (ROOT / "constraints.txt").as_uri()}
    python = folder / "environment" / "bin" / "python"
    wheels = folder / "wheels"
    pip = [python, "-m", "pip"]
    for words in (
        [sys.executable, "-m", "venv", folder / "environment"],
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, source],
        [*pip, "install", "--quiet", "--no-index", "--no-deps", "--find-links", wheels, "hnrnn"],
        [*pip, "install", "--quiet", "hnrnn"],  # what it needs
    ):
        carry_out(words, constrained, folder, [0])
    return python.parent


def use(programs: Path, folder: Path) -> None:
    """Use every command and the README's Python in a folder with misleading names in it."""
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(
            "raise ImportError('not the installed package')\n"
        )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_"))}

    def run(*words: str | Path, codes: Sequence[int] = (0,)) -> None:
        carry_out(words, environment, folder, codes)

    run(programs / "hnrnn", "facts")
    run(programs / "hnrnn-bench", *TRAINING)
    run(programs / "hnrnn-ci", *TIMING)
    run(programs / "hnrnn-ci", "judge", "--device", "cpu", codes=[3, 4])
    run(programs / "hnrnn-reports", "check", codes=[3, 4])
    run(programs / "hnrnn-reports", "render")
    run(programs / "python", "-P", "-c", TABLE)
    run(programs / "hnrnn-reports", "judge", "table.csv", "--variant=Model5", "--html=table.html")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```python\n(.*?)```", readme, re.DOTALL))
    run(programs / "python", "-P", "-c", examples)
    rendering = ["-P", "-m", "reports", "render", "--output", "from_checkout"]
    environment["PYTHONPATH"] = str(ROOT)
    run(programs / "python", *rendering)
    for name in ("report.md", "report.html", "summary.md"):
        ours = (folder / "results" / "report" / name).read_bytes()
        if ours != (folder / "from_checkout" / name).read_bytes():
            raise WrongError(f"{name} is another than the checkout's")


def main() -> int:
    """Return 0 where all is well, 1 where not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            programs = install(folder)
            (folder / "work").mkdir()
            print(*(f"{w.name}: {w.stat().st_size} bytes" for w in folder.glob("wheels/*.whl")))
            use(programs, folder / "work")
        except WrongError as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
