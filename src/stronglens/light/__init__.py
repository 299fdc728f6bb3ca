"""Light profiles of galaxies, in torch alone."""
