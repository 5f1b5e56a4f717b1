"""Many nights: their summaries, and what has drifted in them."""
