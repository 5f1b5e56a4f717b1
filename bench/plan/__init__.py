"""What can be trained: backends, injected faults, and the runs of a plan."""
