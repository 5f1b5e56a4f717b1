"""Pictures depend on the data alone, and drawing them leaves matplotlib as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from reports.figures import models as figures
from reports.figures import trends
from reports.figures.trends import trend
from tests.history_data import made_up_history

DRAW = """
import json, sys
from pathlib import Path
from tests.reports.figures.test_drawing import draw
draw(Path(sys.argv[1]))
import matplotlib as mpl
print(json.dumps({name: repr(value) for name, value in mpl.rcParams.copy().items()}))
"""
SETTINGS = "import json, matplotlib as mpl\n" + DRAW.splitlines()[-1]
"""What a process has that draws nothing of ours."""
DARK = """
figure.facecolor: black
axes.facecolor: black
text.color: white
font.family: monospace
figure.dpi: 33
savefig.bbox: tight
savefig.transparent: True
axes.grid: True
lines.linewidth: 9
"""


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a fresh Python with these environment variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("M")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=own | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def printed(process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait for the process, and return the settings that it printed."""
    output, _ = process.communicate()
    assert process.returncode == 0
    settings: dict[str, str] = json.loads(output)
    return settings


def draw(path: Path) -> None:
    """Draw a small figure."""
    figures.save(trend("Model5", made_up_history(3)), path)


@pytest.mark.slow
def test_nothing_around_changes_a_picture(tmp_path: Path) -> None:
    """A notebook's backend, a user's style or a read-only folder do not change a byte.

    The settings of the process are then the user's, as if nothing had been drawn.
    """
    (tmp_path / "dark").write_text(DARK)
    (tmp_path / "latex").write_text("text.usetex: True\nfont.size: 30\n")
    environments = {
        "notebook": {
            "MPLBACKEND": "module://there_is_no_such_backend",
            "MATPLOTLIBRC": str(tmp_path / "dark"),
        },
        "odd": {
            "MPLBACKEND": "svg",
            "MATPLOTLIBRC": str(tmp_path / "latex"),
            "MPLCONFIGDIR": "/proc/none",
        },
    }
    drawing = {
        name: start(DRAW, str(tmp_path / f"{name}.png"), **environment)
        for name, environment in environments.items()
    }
    users = printed(start(SETTINGS, **environments["odd"]))
    settings = {name: printed(process) for name, process in drawing.items()}
    draw(tmp_path / "plain.png")
    plain = (tmp_path / "plain.png").read_bytes()
    assert len(plain) > 10_000
    assert (tmp_path / "notebook.png").read_bytes() == plain
    assert (tmp_path / "odd.png").read_bytes() == plain
    assert settings["odd"] == users
    assert users["backend"] == "'svg'"
    assert settings["notebook"]["lines.linewidth"] == "9.0"


def test_settings_of_the_process_stay(tmp_path: Path) -> None:
    """A user's settings and backend in a notebook are neither used nor lost."""
    draw(tmp_path / "before.png")
    with mpl.rc_context({"lines.linewidth": 9, "savefig.dpi": 20, "axes.facecolor": "red"}):
        chosen = mpl.rcParams.copy()
        draw(tmp_path / "within.png")
        assert mpl.rcParams.copy() == chosen
    assert (tmp_path / "within.png").read_bytes() == (tmp_path / "before.png").read_bytes()


def test_every_figure_is_drawn_by_our_settings() -> None:
    """Each function that draws puts the settings in place."""
    drawing = [
        function
        for module in (figures, trends)
        for function in vars(module).values()
        if getattr(function, "__annotations__", {}).get("return") == "Figure"
    ]
    assert len(drawing) == 5
    for function in (*drawing, figures.save):
        assert hasattr(function, "__wrapped__"), function
