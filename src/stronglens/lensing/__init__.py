"""Gravity: mass profiles, the lens equation, caustics and distances, in torch alone."""
