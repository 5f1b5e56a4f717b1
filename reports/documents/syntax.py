"""Python code as a syntax tree. Nothing that a file holds is executed."""

from __future__ import annotations

import ast
import re
import warnings

LONGEST_CODE = 2**20
"""Characters; longer code is data rather than code, and is not read."""
_COMMAND = re.compile(
    r"^([ \t]*)(?:[%!].*|\?+[\w.]+|[\w.]+\?+|[\w., ]+=[ \t]*[%!].*)[ \t]*$", re.MULTILINE
)


def parse(code: str) -> ast.Module | None:
    """Return the syntax tree of code without IPython's commands; None if there is none."""
    if len(code) > LONGEST_CODE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other people's code
            return ast.parse(_COMMAND.sub(r"\1pass", code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def called(call: ast.Call) -> str:
    """Return the last name of what is called: ``GRU`` of ``nn.GRU(64, 64)``."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def attribute_of_self(node: ast.AST) -> str:
    """Return ``h`` of ``self.h``; nothing for another node."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "self" else ""
    return ""
