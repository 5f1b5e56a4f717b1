"""Many seeds of one variant as one batched computation, which differs only in its rounding.

``bench.ensemble.training.fit_many`` trains them.
"""
