"""The gates of a night: a table for the verdict, and a line for the first screen."""

from __future__ import annotations

from reports.pages.tables import escape, table
from reports.verdict.gates import NOT_RUN
from reports.verdict.judgement import Judgement


def gates_table(judgement: Judgement) -> str:
    """Return the table of all gates with their results and reasons."""
    rows = [[gate.name, gate.state, gate.reason] for gate in judgement.gates]
    header = ["gate", "result", "reason"]
    text = "A gate that did not run has shown nothing."
    return "\n\n".join(["### Gates", text, table(header, rows, text=header)])


def gates_line(judgement: Judgement) -> str:
    """Say which gates passed, failed or did not run; gates with the same reason share it."""
    by_state: dict[str, dict[str, list[str]]] = {}
    for gate in judgement.gates:
        why = f" ({escape(gate.reason)})" if gate.state == NOT_RUN else ""
        by_state.setdefault(gate.state, {}).setdefault(why, []).append(gate.name)
    sentences = [
        f"{state[0].upper()}{state[1:]}: "
        + "; ".join(f"{', '.join(names)}{why}" for why, names in reasons.items())
        for state, reasons in by_state.items()
    ]
    return f"**Gates.** {'. '.join(sentences)}."
