"""Painter: scenes drawn from words (chapter 9)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gmmlearn._validation import as_count, as_rng
from gmmlearn.codes import PictureCodes
from gmmlearn.conditional import JointMixture
from gmmlearn.ensemble import Ensemble
from gmmlearn.scenes import SEASONS, TIMES, WEATHERS, make_scenes
from gmmlearn.scenes.labels import YEAR
from gmmlearn.words import parse

LEVELS = {"season": SEASONS, "time": TIMES, "weather": WEATHERS}
ATTRIBUTES = (*LEVELS, "n_trees")
RADIUS = 10.0
"""Of the circle of the year, in units of codes; a day is then 0.17 long."""
DAY_VARIANCE = 0.3
"""Added to that of a known day's place: a standard deviation of about three days."""

SETTINGS = {"stratify": ATTRIBUTES, "concentration": 0.01, "reg_covar": DAY_VARIANCE}
"""Of the joint mixture, where they are not its own defaults."""


@dataclass(frozen=True, eq=False)
class Painter:
    """Draws scenes that words ask for.

    The joint mixture speaks of codes, days and attributes: it says which components an answer comes
    from. The pictures of a component are drawn either in the plane of the codes, or from the
    Gaussian of whole pictures that the same responsibilities call for; the codes of both have the
    same distribution, but for `reg_covar` and clipping, and the plane blurs.

    Parameters
    ----------
    codes : PictureCodes
        Of the pictures.
    joint : JointMixture
        Fitted to codes and `circle`, with attributes season, time, weather and n_trees.
    ensemble : Ensemble
        Pixels and `circle`, with the joint mixture's responsibilities.
    """

    codes: PictureCodes
    joint: JointMixture
    ensemble: Ensemble

    @classmethod
    def fit(cls, scenes, n_components=None, n_codes=60, rng=None, **settings):
        """Learn from labelled scenes.

        Parameters
        ----------
        scenes : Scenes
            Pictures and labels, from `scenes.make_scenes`.
        n_components : int, optional
            Number of components; by default one for each combination of attributes that occurs.
        n_codes : int
            Number of principal components that stand for a picture in EM.
        rng : numpy Generator, int or None
            Source of randomness.
        **settings
            Of `JointMixture`.

        Returns
        -------
        Painter
        """
        rng, labels = as_rng(rng), scenes.labels
        attributes = {name: getattr(labels, name) for name in ATTRIBUTES}
        if n_components is None:
            n_components = len(np.unique(list(attributes.values()), axis=1).T)
        codes, place = PictureCodes.fit(scenes.images, n_codes, rng=rng), circle(labels.day)
        points = np.hstack([codes.encode(scenes.images), place])
        seed = int(rng.integers(2**31))
        settings = SETTINGS | settings
        joint = JointMixture(n_components, levels=LEVELS, random_state=seed, **settings)
        joint.fit(points, attributes)
        pixels = scenes.images.reshape(len(points), -1)
        resp = joint.responsibilities(points, attributes)
        return cls(codes, joint, Ensemble(np.hstack([pixels, place], dtype=np.float32), resp))

    def weights(self, day=None, **asked):
        """Return the probability of each component given attributes and, if asked, the day.

        Parameters
        ----------
        day : float, optional
            Day of the year in [0, 365).
        **asked : level, or collection of levels
            As in `JointMixture.condition`.

        Returns
        -------
        array (K,)
        """
        if day is None:
            return self.joint.component_probabilities(**asked)
        place = [self.codes.n_codes, self.codes.n_codes + 1]
        days = self.joint.condition(**asked).marginal(place)
        return days.responsibilities(circle([day]))[0]

    def draw(self, text, n=16, rng=None, plane=False):
        """Draw scenes that a text asks for.

        Parameters
        ----------
        text : str
            Such as "a spring evening with two trees"; see `words.parse`.
        n : int >= 1
            Number of pictures.
        rng : numpy Generator, int or None
            Source of randomness.
        plane : bool, default=False
            Whether to draw in the plane of the codes instead of whole pictures.

        Returns
        -------
        float32 array (n, size, size, 3)
            Pictures in [-1, 1].

        Raises
        ------
        ValueError
            If the text has words that are not known, or that contradict each other.
        """
        asked, n, rng = parse(text), as_count(n, "n"), as_rng(rng)
        if plane:
            codes, _ = self.mixture(**asked).sample(n, rng)
            return self.codes.decode(codes)
        labels = rng.choice(self.ensemble.n_components, size=n, p=self.weights(**asked))
        known = self._known(asked.get("day"))
        points = self.ensemble.sample(labels, rng, predictive=True, **known)
        return self._pictures(points)

    def mixture(self, day=None, **asked):
        """Return the mixture of picture codes given attributes and, if asked, the day.

        Parameters
        ----------
        day : float, optional
            Day of the year in [0, 365).
        **asked : level, or collection of levels
            As in `JointMixture.condition`.

        Returns
        -------
        Mixture
            Over the codes of a picture.
        """
        whole, n_codes = self.joint.condition(**asked), self.codes.n_codes
        if day is None:
            return whole.marginal(np.arange(n_codes))
        return whole.condition([n_codes, n_codes + 1], circle([day])[0])

    def mean(self, day=None, **asked):
        """Return the mean picture given attributes and, if asked, the day.

        Parameters
        ----------
        day : float, optional
            Day of the year in [0, 365).
        **asked : level, or collection of levels
            As in `JointMixture.condition`.

        Returns
        -------
        float32 array (size, size, 3)
            In [-1, 1].
        """
        weights, known = self.weights(day, **asked), self._known(day)
        likely = np.flatnonzero(weights > 1e-4 * weights.max())
        weights = weights[likely] / weights[likely].sum()
        mean = self.ensemble.conditional_mean if known else self.ensemble.mean
        return self._pictures(weights @ [mean(k, **known) for k in likely])[0]

    def _known(self, day):
        """Return the arguments that condition the ensemble on a day."""
        if day is None:
            return {}
        n_pixels = self.codes.mean.size
        place = {"features": [n_pixels, n_pixels + 1], "values": circle([day])[0]}
        return place | {"reg_covar": DAY_VARIANCE}

    def _pictures(self, points):
        """Return the pictures of the ensemble's points."""
        pixels = np.atleast_2d(points)[:, : self.codes.mean.size]
        images = np.clip(pixels, *self.codes.limits).astype(np.float32)
        return images.reshape(-1, *self.codes.mean.shape)


def circle(day):
    """Return days as places on a circle, so that 31 December is next to 1 January.

    Parameters
    ----------
    day : array-like (N,)
        Days of the year in [0, 365).

    Returns
    -------
    array (N, 2)
        Cosine and sine of the day's angle, times `RADIUS`.
    """
    angle = 2.0 * np.pi * np.asarray(day, dtype=float) / YEAR
    return RADIUS * np.column_stack([np.cos(angle), np.sin(angle)])


@lru_cache(maxsize=1)
def standard_painter():
    """Return the painter of `draw`, fitted once to 6,000 scenes: half a minute at most.

    Returns
    -------
    Painter
    """
    return Painter.fit(make_scenes(6000, rng=0), n_components=520, rng=0)


def draw(text, n=16, rng=None):
    """Draw scenes that a text asks for, by `standard_painter`.

    Parameters
    ----------
    text : str
        Such as "a spring evening with two trees"; see `words.parse`.
    n : int >= 1
        Number of pictures.
    rng : numpy Generator, int or None
        Source of randomness.

    Returns
    -------
    float32 array (n, 32, 32, 3)
        Pictures in [-1, 1].

    Raises
    ------
    ValueError
        If the text has words that are not known, or that contradict each other.
    """
    parse(text)  # what is not understood is said at once, not after the fit
    return standard_painter().draw(text, n, rng)
