"""Mass profiles: one file each, found by name in the registry `profiles`."""

from stronglens.lensing.profiles import shear, sie, sis
from stronglens.lensing.profiles.mass_profile import Profile, profiles

__all__ = ["Profile", "profiles", "shear", "sie", "sis"]
