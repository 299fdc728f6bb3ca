"""Figures: arrays in, a matplotlib Figure out; what is drawn is decided by the caller."""
