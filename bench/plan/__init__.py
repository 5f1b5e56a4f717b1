"""What there is to train: variants, backends, injected faults, and the runs of a call."""
