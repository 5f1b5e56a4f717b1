"""Records, and the parquet files that keep them."""
