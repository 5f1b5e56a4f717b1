"""How the variants are measured: a grid of runs, worker processes, and a parquet store."""
