"""From an image of a lens to its parameters with uncertainties, and how far to trust them."""
