"""One run: variant, backend and seed in, record out."""
