"""Git repositories that tests make."""

from __future__ import annotations

import subprocess
from pathlib import Path

PERSON = ("-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as a person with a name, and return what it prints."""
    command = ["git", *PERSON, *arguments]
    result = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return result.stdout.strip()
