"""Stands in for GitHub's gh: writes its arguments and the body file down, and lists open issues."""

import json
import os
import sys
from pathlib import Path


def main() -> int:
    """Carry out a call; 4, as with gh, where there is no token."""
    if not (os.environ.get("GH_TOKEN") and os.environ.get("GH_REPO")):
        return 4
    arguments = sys.argv[1:]
    body = None
    if "--body-file" in arguments:
        path = arguments[arguments.index("--body-file") + 1]
        body = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    with Path(os.environ["STAND_IN_LOG"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"arguments": arguments, "body": body}) + "\n")
    if arguments[:2] == ["issue", "list"]:
        issues = Path(os.environ["STAND_IN_ISSUES"])
        print(issues.read_text(encoding="utf-8") if issues.exists() else "[]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
