"""What a nightly CI does around the training: judge a night, keep it, and report it."""
