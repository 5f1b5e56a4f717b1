"""How the variants are measured: a grid of runs, worker processes, and a parquet store."""

from __future__ import annotations

__all__: list[str] = []
