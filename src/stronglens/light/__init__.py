"""Light profiles of galaxies, in torch alone; found by name in the registry `lights`."""

from stronglens.light import gaussian, pixelated, ring, sersic, spiral
from stronglens.light.light_profile import LightProfile, lights

__all__ = ["LightProfile", "gaussian", "lights", "pixelated", "ring", "sersic", "spiral"]
