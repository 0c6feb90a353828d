"""Relative poses guessed by a small network from the matches of a pair. Start reading at hypotheses.py."""
