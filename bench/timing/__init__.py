"""Timing of steps, of trainings, and of an ensemble beside single trainings."""
