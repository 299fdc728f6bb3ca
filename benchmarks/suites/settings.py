"""What each suite is: its images, its seeds, its sizes, and how long each row may learn.

Every number of a suite stands here. Images follow from these settings and the code that draws them;
`frozen.json` holds the hashes of what they gave. How blocks are drawn is in `drawing`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stronglens.simulation.imperfections import Jitter
from stronglens.simulation.sky import Sky
from stronglens.simulation.task import Simulate

FULL, SMALL = "full", "small"

RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""False-positive rates at which rows are compared, where the negatives support them."""
SEED_OF_TESTS = 500_000
"""Added to the seed of a training set for images of the test, and twice for those of thresholds."""

UGRI = ("kids-u", "kids-g", "kids-r", "kids-i")
LENSES = {"lens": 0.9, "group": 0.1}
LOOK_ALIKES = {
    "companions": 0.06, "twin": 0.06, "ring": 0.04, "spiral": 0.05, "edge-on": 0.03, "merger": 0.03,
    "star-cluster": 0.01, "bright-star": 0.02,
}  # fmt: skip
"""Shares among the negatives of the rare suite: 30 % together."""
PLAIN = {"alone": 0.6, "blue-neighbours": 0.1}
"""Ordinary galaxies, alone or in company: the other 70 %."""
NEVER_TRAINED = ("ring", "merger")
"""Families of look-alikes that are in the tests of the rare suite and not in its training set."""

NETWORKS = (
    "deck-cnn", "deck-cnn-deeper", "deck-cnn-17", "cmu-deeplens", "petrillo-2017",
    "petrillo-resnet18", "all-hog", "resnet-small",
)  # fmt: skip
"""Rows on images of any number of bands: every registered system of the deck, and ours."""
COLOUR = ("ring-finder",)
"""Rows that need a blue and a red band."""
OURS = "resnet-small"


@dataclass(frozen=True)
class Part:
    """Test images that are drawn alike."""

    name: str
    """What they are; part of the path of their scores."""
    n: int
    """Number of images, a multiple of 250."""
    simulate: Simulate | None = None
    """How they are drawn; None for scenes of other codes."""
    first: int = 0
    """Number of the first scene, a multiple of 250."""
    variant: str = "stack"
    """Kind of image of each scene."""
    psf_factor: float = 1.0
    """Factor on every PSF width of the survey."""
    loses_band: bool = False
    """Whether each image lacks a band, drawn at random."""
    foreign: str = ""
    """lens or other, where other codes draw the scenes."""
    seed: int = 0
    """Seed of those."""


@dataclass(frozen=True)
class Training:
    """A training set, and what learns from it."""

    name: str
    """Name of its folder."""
    simulate: Simulate
    """How it is drawn."""
    networks: tuple[str, ...]
    """Rows."""
    minutes: float
    """Time of each row on one thread of an idle machine [min]."""
    variant: str = ""
    """Folder below the set whose images are learnt from; "" for the set itself."""
    leave_out: tuple[str, ...] = ()
    """Families that `resnet-small` is trained without, one after the other."""


@dataclass(frozen=True)
class Arm:
    """One table of a suite."""

    name: str
    """What is special about it."""
    training: Training
    """What its rows were trained on."""
    parts: tuple[Part, ...]
    """Test images."""
    calibration: tuple[Part, ...] = ()
    """Images on which thresholds are fixed; () where rates are read off the test images."""
    subsets: dict[str, str] = field(default_factory=dict)
    """Kinds of lenses, besides all and the detectable ones, by their condition on the truth."""


@dataclass(frozen=True)
class Suite:
    """A question, and the images that answer it."""

    name: str
    """Name on the command line."""
    question: str
    """What it asks."""
    arms: tuple[Arm, ...]
    """Its tables."""
    carries: bool = False
    """Whether rates are those at thresholds fixed on other images; the first arm is what the others
    are compared with."""


_SIZES = {
    # images: train (with validation), lenses, others; minutes of each row. All suites together take
    # half an hour in small on two idle cores, and about a week in full
    "deck": {FULL: (20_000, 4000, 0, 60.0), SMALL: (5000, 4000, 0, 0.6)},
    "ground": {FULL: (25_000, 100_000, 0, 240.0), SMALL: (5000, 2000, 0, 0.75)},
    "space": {FULL: (25_000, 100_000, 0, 240.0), SMALL: (5000, 2000, 0, 0.75)},
    "rare": {FULL: (25_000, 10_000, 1_000_000, 240.0), SMALL: (5000, 500, 2000, 0.5)},
    "rare calibration": {FULL: (0, 2500, 200_000, 0.0), SMALL: (0, 250, 1000, 0.0)},
    "shift": {FULL: (0, 2500, 100_000, 0.0), SMALL: (0, 250, 500, 0.0)},
    "foreign": {FULL: (0, 2500, 20_000, 0.0), SMALL: (0, 250, 500, 0.0)},
    "avestruz": {FULL: (20_000, 4000, 0, 60.0), SMALL: (5000, 2000, 0, 0.5)},
}


def suites(size: str) -> dict[str, Suite]:
    """Every suite by name.

    Args:
        size: full or small.
    """
    makers: tuple[Callable[[str], Suite], ...] = (
        _deck, _ground, _space, _rare, _shift, _foreign, _avestruz,
    )  # fmt: skip
    return {made.name: made for made in (maker(size) for maker in makers)}


def _deck(size: str) -> Suite:
    n, n_test, _, minutes = _SIZES["deck"][size]
    simulate = Simulate(preset="deck", n=n, seed=1, single=False, planes=False)
    training = Training("deck", simulate, NETWORKS, minutes)
    arm = Arm("stack", training, (_deck_test("stack", n_test),))
    return Suite("deck", "How far does each system come on the images of the 2017 deck?", (arm,))


def _deck_test(name: str, n: int, variant: str = "stack", **settings: object) -> Part:
    """Return the last fifth of the deck's 20,000 scenes, on which nobody trains in either size."""
    simulate = Simulate(preset="deck", n=20_000, seed=1, single=variant == "single")
    return Part(name, n, replace(simulate, **settings), first=16_000, variant=variant)  # type: ignore[arg-type]


def _ground(size: str) -> Suite:
    n, n_test, _, minutes = _SIZES["ground"][size]
    # lenses whose arcs are lost in the noise count as lenses, as in the challenge
    simulate = Simulate(
        survey="kids-dr4", bands=UGRI, size=101, seed=82_001, planes=False, n=n,
        sky=Sky(arc_snr_min=1.0),
    )  # fmt: skip
    training = Training("ground", simulate, (*NETWORKS, *COLOUR), minutes)
    arm = Arm("ugri", training, (_test_of(simulate, "all", n_test),))
    question = "Four bands from the ground, as in the lens finding challenge: who ranks best?"
    return Suite("ground", question, (arm,))


def _space(size: str) -> Suite:
    n, n_test, _, minutes = _SIZES["space"][size]
    default = Simulate().shares
    shares = {name: share * (0.8 if name in LENSES else 1.2) for name, share in default.items()}
    simulate = Simulate(
        survey="euclid-vis", size=101, seed=83_001, planes=False, n=n, shares=shares,
        sky=Sky(arc_snr_min=1.0),
    )  # fmt: skip
    training = Training("space", simulate, NETWORKS, minutes)
    arm = Arm("VIS", training, (_test_of(simulate, "all", n_test),))
    question = "One sharp band from space, two lenses in five images: who ranks best?"
    return Suite("space", question, (arm,))


def _test_of(simulate: Simulate, name: str, n: int, times: int = 1, **settings: object) -> Part:
    """Return images drawn as a training set is, from a seed of their own."""
    seed = simulate.seed + times * SEED_OF_TESTS
    task = replace(simulate, seed=seed, n=max(n, 250), planes=True, **settings)  # type: ignore[arg-type]
    return Part(name, n, task)


def _rare_training(size: str) -> Training:
    n, _, _, minutes = _SIZES["rare"][size]
    others = {name: 0.5 * share for name, share in _half_plain().items()}
    simulate = Simulate(
        survey="kids-dr4", bands=UGRI, size=64, seed=84_001, planes=False, n=n,
        shares={"lens": 0.45, "group": 0.05, **others},
    )  # fmt: skip
    families = tuple(name for name in LOOK_ALIKES if name not in NEVER_TRAINED)
    networks = (*NETWORKS, *COLOUR)
    return Training("rare", simulate, networks, minutes, leave_out=families)


def _half_plain() -> dict[str, float]:
    """Return shares of the negatives of the training set: half of them known look-alikes."""
    known = {name: s for name, s in LOOK_ALIKES.items() if name not in NEVER_TRAINED}
    parts = {}
    for group in (known, PLAIN):
        parts |= {name: 0.5 * share / sum(group.values()) for name, share in group.items()}
    return parts


def _lenses_and_others(
    simulate: Simulate, n_lenses: int, n_others: int, times: int = 1
) -> tuple[Part, Part]:
    """Return the two parts of a test of the rare suite's kind; lenses come first."""
    negatives = LOOK_ALIKES | PLAIN
    lenses = _test_of(simulate, "lenses", n_lenses, times, shares=LENSES)
    # scenes of their own: block 0 of both would share their deflectors
    others = _test_of(simulate, "others", n_others, times, shares=negatives)
    return lenses, replace(others, first=2**20 * 250)


def _rare(size: str) -> Suite:
    training = _rare_training(size)
    _, n_lenses, n_others, _ = _SIZES["rare"][size]
    _, c_lenses, c_others, _ = _SIZES["rare calibration"][size]
    arm = Arm(
        "rare", training, _lenses_and_others(training.simulate, n_lenses, n_others),
        _lenses_and_others(training.simulate, c_lenses, c_others, 2),
    )  # fmt: skip
    question = "Few lenses among very many galaxies, a third of them look-alikes: what is found?"
    return Suite("rare", question, (arm,), carries=True)


def _shift(size: str) -> Suite:
    training = _rare_training(size)
    _, n_lenses, n_others, _ = _SIZES["shift"][size]
    jitter, sky = Jitter(), Sky()
    noisy = replace(jitter, noise_min=1.5 * jitter.noise_min, noise_max=1.5 * jitter.noise_max)
    # the shifts by name: settings of the simulation, and what is done to images
    shifts: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "none": ({}, {}),
        "seeing +20 %": ({}, {"psf_factor": 1.2}),
        "noise x1.5": ({"jitter": noisy}, {}),
        "sources red and clumpy": (
            {"sky": replace(sky, clumpy_source_share=1.0, red_source_share=0.6)}, {},
        ),
        "centroids off": (
            {"sky": replace(sky, center_scatter=0.6), "jitter": replace(jitter, centroid=1.0)}, {},
        ),
        "zero points off": ({"jitter": replace(jitter, zero_point=0.4)}, {}),
        "a band missing": ({}, {"loses_band": True}),
    }  # fmt: skip
    arms = []
    for name, (settings, treatment) in shifts.items():
        simulate = replace(training.simulate, **settings)  # type: ignore[arg-type]
        parts = _lenses_and_others(simulate, n_lenses, n_others, 3)
        treated = tuple(replace(part, **treatment) for part in parts)  # type: ignore[arg-type]
        arms.append(Arm(name, training, treated, _rare(size).arms[0].calibration))
    question = "What is left at the thresholds of the rare suite when the images change?"
    return Suite("shift", question, tuple(arms), carries=True)


def _foreign(size: str) -> Suite:
    training = _rare_training(size)
    _, n_lenses, n_others, _ = _SIZES["foreign"][size]
    parts = (
        Part("lenses", n_lenses, foreign="lens", seed=86_001),
        Part("others", n_others, foreign="other", seed=86_002),
    )
    own = replace(_rare(size).arms[0], name="own images")
    arm = Arm("lenstronomy and GalSim", training, parts, own.calibration)
    question = "What is left at these thresholds on images that other codes and priors made?"
    return Suite("foreign", question, (own, arm), carries=True)


def _avestruz(size: str) -> Suite:
    n, n_test, _, minutes = _SIZES["avestruz"][size]
    networks = ("all-hog", OURS)
    # 101 pixels of 0.08 arcsec see the 8.1 arcsec that 45 pixels of LSST see
    hst: dict[str, object] = {"survey": "hst-acs-f814w", "pixel_scale": 0.08, "size": 101}
    base = Simulate(preset="deck", n=n, seed=1, planes=False)
    space = replace(base, single=False, **hst)  # type: ignore[arg-type]
    bright = {"theta_e > 1.4, S/N > 20": "theta_e > 1.4 and arc_snr_collett > 20"}
    arms = (
        Arm("HST-like", Training("avestruz-hst", space, networks, minutes),
            (_deck_test("hst", n_test, **hst),)),
        Arm("LSST, 10 years", Training("avestruz-lsst", base, networks, minutes),
            (_deck_test("stack", n_test),)),
        Arm("LSST, one exposure",
            Training("avestruz-lsst", base, networks, minutes, variant="single"),
            (_deck_test("single", n_test, variant="single"),), subsets=bright),
    )  # fmt: skip
    question = (
        "Oriented gradients on the same scenes seen by three telescopes: published 0.975, 0.809 "
        "and 0.625 on the authors' own images."
    )
    return Suite("avestruz", question, arms)
