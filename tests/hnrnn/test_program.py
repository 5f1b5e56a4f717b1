"""How the programs start and end, whatever happens to their streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hnrnn import program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file descriptors")

TEXT = "ü \udcff"
PROGRAM = f"""
import sys
from hnrnn.program import begin, exit_code, show
begin("prog")
end = sys.argv[1]
if end == "interrupted":
    raise KeyboardInterrupt
if end == "error":
    raise ValueError("a\\nb")
if end == "shows":
    sys.exit(show({TEXT!a}))
if end == "differs":
    print({TEXT!a})
    sys.exit(exit_code(1))
for number in range(20_000):
    print(number)
    print(number, file=sys.stderr)
sys.exit(3)
"""


def run(end: str, redirections: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program with a shell's redirections; return its exit code and its output."""
    command = ["sh", "-c", f'"$@" {redirections}', "sh", sys.executable, "-c", PROGRAM, end]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | environment
    )


@pytest.mark.parametrize(
    "redirections", ["2>/dev/full", "1>/dev/full", "1>/dev/full 2>&1", "2>&-", "0<&- 1>&- 2>&-"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written(redirections: str, unbuffered: str) -> None:
    """A full disk or a closed stream does not change the exit code."""
    assert run("prints", redirections, PYTHONUNBUFFERED=unbuffered).returncode == 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone(unbuffered: str) -> None:
    """After ``2>&1 | head -1`` a program runs to its end."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "prints"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 3


def test_a_terminal_that_was_closed() -> None:
    """A program whose terminal is gone runs to its end."""
    ours, its = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "prints"], stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        os.read(ours, 1)
        os.close(ours)
        assert process.wait() == 3


def test_a_pipe_that_does_not_block() -> None:
    """A full pipe that does not block is waited for, so that nothing is lost."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "prints"], stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading) as file:
            assert file.read().split() == [str(number) for number in range(20_000)]
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, r"\xfc \udcff"),
        ({"PYTHONIOENCODING": "latin-1:strict", "PYTHONUNBUFFERED": "1"}, "\xfc \\udcff"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, r"\xfc \udcff"),
        ({"PYTHONUTF8": "1"}, r"ü \udcff"),
    ],
)
def test_every_text_can_be_encoded(environment: dict[str, str], shown: str) -> None:
    """Characters that the terminal's encoding lacks, and names that are not UTF-8, are escaped."""
    command = [sys.executable, "-c", PROGRAM, "shows"]
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    own["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    output = subprocess.check_output(command, env=own | environment)
    encoding = "latin-1" if "latin" in str(environment) else "utf-8"
    assert output.decode(encoding).strip() == shown


def test_lost_output_is_reported() -> None:
    """Lost standard output is reported, and is a failure if it was a command's only result."""
    line = "prog: standard output cannot be written: No space left on device"
    done = run("shows", "1>/dev/full")
    assert (done.returncode, done.stderr.splitlines()) == (program.UNWRITTEN, [line])
    assert run("prints", "1>/dev/full").stderr.splitlines()[-1] == line
    assert run("shows", "1>&-").returncode == 0
    assert run("differs", "1>/dev/full").returncode == 1, "a verdict's own code wins"


def test_ends() -> None:
    """Ctrl-C prints one line; an unexpected error prints a traceback, with its own exit code."""
    done = run("interrupted")
    assert (done.returncode, done.stderr) == (program.INTERRUPTED, "\nprog: stopped\n")
    done = run("error")
    lines = done.stderr.splitlines()
    assert done.returncode == program.INTERNAL_ERROR
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "prog: internal error: ValueError: a b; its traceback is above"
    assert run("error", "2>/dev/full").returncode == program.INTERNAL_ERROR


@pytest.mark.slow
def test_facts_that_cannot_be_shown() -> None:
    """They are all equal, and were not printed."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "hnrnn", "facts"]
        assert subprocess.run(command, check=False, stdout=full).returncode == program.UNWRITTEN


@pytest.mark.parametrize("name", ["bench", "reports", "reports.ci", "hnrnn"])
def test_every_program_begins_so(name: str) -> None:
    """Ctrl-C prints one line, during the imports and later."""
    module = name if "." in name else f"{name}.__main__"
    heavy = {"bench": "bench.commands.run", "reports": "bench.store.store", "reports.ci": "shutil"}
    code = f"""
import runpy, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == {heavy.get(name, "hnrnn.arguments")!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
sys.modules.pop("shutil", None)
runpy.run_module({module!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, f"\npython -m {name}: stopped\n")


@pytest.mark.slow
def test_warnings_as_errors_and_no_log(tmp_path: Path) -> None:
    """Where every warning is an error and nothing can be said, runs are trained all the same.

    So they are in workers; the exit code tells.
    """
    command = [sys.executable, "-m", "bench", "run", "--profile", "smoke", "--variants", "Model1"]
    command += ["--backends", "notebook", "--seeds", "1", "--results", str(tmp_path / "results")]
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, check=False, env=environment, stdout=full, stderr=full)
    assert done.returncode == 0
    assert len(list((tmp_path / "results" / "runs").iterdir())) == 1
