"""Stands in for tox: carries out an environment's commands of tox.ini, in the Python that calls.

As with tox, only the variables that the environment lets pass are seen, and some that always do.
"""

import configparser
import fnmatch
import os
import re
import shlex
import subprocess
import sys

ALWAYS = ["PATH", "HOME", "LANG", "TMPDIR", "PIP_*"]


def main() -> int:
    """Carry out ``tox -e NAME -- ARGUMENTS``; return the first exit code that is not 0."""
    option, name, dashes, *arguments = [*sys.argv[1:], "--"][: max(3, len(sys.argv) - 1)]
    assert (option, dashes) == ("-e", "--")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read("tox.ini")
    section = parser[f"testenv:{name}"]

    def value(key: str, default: str = "") -> str:
        text = section.get(key, parser["testenv"].get(key, default))
        return re.sub(r"\{\[(.+?)\](\w+)\}", lambda m: parser[m[1]][m[2]], text)

    passed = [*ALWAYS, *value("pass_env").split()]
    environment = {
        key: text
        for key, text in os.environ.items()
        if any(fnmatch.fnmatch(key, pattern) for pattern in passed)
    }
    code = 0
    for line in value("commands").strip().splitlines():
        words = shlex.split(line.replace("{posargs}", shlex.join(arguments)))
        if code == 0 or value("ignore_errors") == "true":
            print(f"tox {name}: {shlex.join(words)}", flush=True)
            code = subprocess.run(words, env=environment, check=False).returncode or code
    return code


if __name__ == "__main__":
    sys.exit(main())
