"""The pages and files that a verdict and a report are written into."""
