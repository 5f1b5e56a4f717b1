"""What a nightly CI does around the training: judge, keep, tell."""
