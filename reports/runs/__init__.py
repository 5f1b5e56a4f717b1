"""What a results folder holds: read, selected, found whole or not, compared run by run."""
