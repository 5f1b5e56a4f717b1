"""The commands of ``python -m bench``: one file each, its parser beside its action."""
