"""BibTeX of the physics and the software that each verb stands on.

Networks and surveys state their own references where they are registered.
"""

STRONGLENS = """@software{stronglens,
  author = {{stronglens developers}},
  title = {stronglens: deep networks for strong gravitational lenses in survey images},
  version = {%s},
  year = {2026}
}"""

KORMANN = """@article{kormann1994,
  author = {Kormann, R. and Schneider, P. and Bartelmann, M.},
  title = {Isothermal elliptical gravitational lens models},
  journal = {Astronomy and Astrophysics},
  volume = {284},
  pages = {285--299},
  year = {1994}
}"""

SERSIC = """@article{sersic1963,
  author = {S{\\'e}rsic, J. L.},
  title = {Influence of the atmospheric and instrumental dispersion on the brightness
           distribution in a galaxy},
  journal = {Boletin de la Asociacion Argentina de Astronomia},
  volume = {6},
  pages = {41--43},
  year = {1963}
}"""

CIOTTI = """@article{ciotti1999,
  author = {Ciotti, L. and Bertin, G.},
  title = {Analytical properties of the R^{1/m} law},
  journal = {Astronomy and Astrophysics},
  volume = {352},
  pages = {447--451},
  year = {1999}
}"""

COLLETT = """@article{collett2015,
  author = {Collett, T. E.},
  title = {The Population of Galaxy-Galaxy Strong Lenses in Forthcoming Optical Imaging Surveys},
  journal = {The Astrophysical Journal},
  volume = {811},
  pages = {20},
  year = {2015},
  doi = {10.1088/0004-637X/811/1/20}
}"""

METCALF = """@article{metcalf2019,
  author = {Metcalf, R. B. and others},
  title = {The strong gravitational lens finding challenge},
  journal = {Astronomy and Astrophysics},
  volume = {625},
  pages = {A119},
  year = {2019},
  doi = {10.1051/0004-6361/201832797}
}"""

PYTORCH = """@inproceedings{paszke2019,
  author = {Paszke, A. and others},
  title = {{PyTorch}: An Imperative Style, High-Performance Deep Learning Library},
  booktitle = {Advances in Neural Information Processing Systems 32},
  year = {2019}
}"""

ASTROPY = """@article{astropy2022,
  author = {{Astropy Collaboration}},
  title = {The Astropy Project: Sustaining and Growing a Community-oriented Open-source
           Project and the Latest Major Release (v5.0) of the Core Package},
  journal = {The Astrophysical Journal},
  volume = {935},
  pages = {167},
  year = {2022},
  doi = {10.3847/1538-4357/ac7c74}
}"""

AKIBA = """@inproceedings{akiba2019,
  author = {Akiba, T. and Sano, S. and Yanase, T. and Ohta, T. and Koyama, M.},
  title = {Optuna: A Next-generation Hyperparameter Optimization Framework},
  booktitle = {Proceedings of the 25th ACM SIGKDD International Conference on Knowledge
               Discovery and Data Mining},
  year = {2019}
}"""

KELLY = """@article{kelly2007,
  author = {Kelly, B. C.},
  title = {Some Aspects of Measurement Error in Linear Regression of Astronomical Data},
  journal = {The Astrophysical Journal},
  volume = {665},
  pages = {1489--1506},
  year = {2007},
  doi = {10.1086/519947}
}"""

CAO = """@article{cao2015,
  author = {Cao, S. and Biesiada, M. and Gavazzi, R. and Pi{\\'o}rkowska, A. and Zhu, Z.-H.},
  title = {Cosmology with Strong-lensing Systems},
  journal = {The Astrophysical Journal},
  volume = {806},
  pages = {185},
  year = {2015},
  doi = {10.1088/0004-637X/806/2/185}
}"""

KOOPMANS = """@inproceedings{koopmans2006,
  author = {Koopmans, L. V. E.},
  title = {Gravitational Lensing \\& Stellar Dynamics},
  booktitle = {EAS Publications Series},
  volume = {20},
  pages = {161--166},
  year = {2006},
  eprint = {astro-ph/0511121}
}"""

GALAN = """@article{galan2023,
  author = {Galan, A. and others},
  title = {{COOLEST}: COde-independent Organized LEns STandard},
  journal = {Journal of Open Source Software},
  volume = {8},
  pages = {5567},
  year = {2023},
  doi = {10.21105/joss.05567}
}"""

OF_VERB: dict[str, tuple[str, ...]] = {
    "simulate": (KORMANN, SERSIC, CIOTTI, PYTORCH),
    "train": (PYTORCH,),
    "tune": (AKIBA, PYTORCH),
    "combine": (PYTORCH,),
    "evaluate": (METCALF, PYTORCH),
    "scan": (ASTROPY, PYTORCH),
    "measure": (KORMANN, GALAN, ASTROPY, PYTORCH),
    "population": (KELLY, KOOPMANS, CAO, PYTORCH),
    "floor": (KORMANN, SERSIC, CIOTTI, PYTORCH),
    "forecast": (COLLETT, KORMANN, SERSIC, CIOTTI, PYTORCH),
}
"""What a verb always uses, whatever its settings."""
