"""Training tables in files that people have: notebooks, pages, text and CSV."""
