"""The commands of ``python -m reports``: one file each, its parser beside its action."""
