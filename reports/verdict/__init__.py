"""What is to be said of a night: each gate, and the one verdict."""
