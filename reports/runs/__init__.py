"""A results folder's records: read, selected, checked for completeness, and compared."""
