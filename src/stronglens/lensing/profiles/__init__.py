"""Mass profiles: one file each, found by name in the registry `profiles`."""

from stronglens.lensing.profiles import epl, multipole, nfw, point, shear, sie, sis
from stronglens.lensing.profiles.mass_profile import Profile, profiles

__all__ = ["Profile", "epl", "multipole", "nfw", "point", "profiles", "shear", "sie", "sis"]
