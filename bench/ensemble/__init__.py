"""Many seeds of one variant as one batched computation; ``training.fit_many`` trains them."""
