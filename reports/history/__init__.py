"""The history of nights: their summaries, and slow drifts over them."""
