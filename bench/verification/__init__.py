"""Whether a machine computes what the reference runs did, and how far healthy runs are apart."""
