"""Pictures of lenses and of their look-alikes: populations, rendering, PSF and noise."""
