"""From image files to a ranked table of lens candidates."""
