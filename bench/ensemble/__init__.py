"""Many seeds of one variant as one batched computation, equal to each seed alone but for rounding.

``bench.ensemble.training.fit_many`` trains them.
"""
