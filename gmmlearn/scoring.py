"""What a fitted mixture answers: densities, responsibilities, samples, information criteria."""

import copy
import math
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gmmlearn._validation import as_count, as_features, as_numbers
from gmmlearn.arrays import DASK, NUMPY, TORCH, empty, kind_of, namespace, refuse
from gmmlearn.covariance import Parameters
from gmmlearn.intake import points, tabulate, weight_for
from gmmlearn.low_rank import dense_attribute, structure_of
from gmmlearn.missing import Gap, Holes, completion
from gmmlearn.mixture import Mixture
from gmmlearn.statistics import Posterior, normalise
from gmmlearn.table import Frame

LEARNED = (
    "weights_",
    "means_",
    "covariances_",
    "precisions_cholesky_",
    "loadings_",
    "noise_variance_",
)
"""Fitted attributes that scoring depends on; which of them there are depends on the structure."""
REMEMBERED = 1 << 20
"""Numbers in these up to which what scoring makes of them is remembered."""


class Known(NamedTuple):
    """What scoring makes of the fitted attributes, good for as long as they stay what they are."""

    source: list
    """What it was made from: names and numbers, and copies of the attributes."""
    structure: object
    frame: Frame
    """The mixture's own."""
    params: Parameters
    """In the frame."""
    posteriors: dict
    """A Posterior for each way of computing that was asked for: (few, eps)."""


_KNOWN = WeakKeyDictionary()
"""What scoring knows of each mixture: beside them, because scoring must not change them."""


class Scoring:
    """Methods of `GaussianMixture` that need only its fitted attributes."""

    @property
    def _structure(self):
        """The covariance structure, an object of `covariance`."""
        return structure_of(self.covariance_type, self.rank)

    def _params_in(self, frame=None):
        """Return the fitted parameters in `frame`, or in the units of X."""
        structure = self._structure
        covariances, factors = structure.fitted(self)
        # Either may be missing where somebody set the other by hand.
        factors = structure.factor(covariances) if factors is None else factors
        covariances = structure.invert(factors) if covariances is None else covariances
        params = Parameters(self.weights_, self.means_, covariances, factors)
        return params if frame is None else frame.enter(params, structure)

    def _known(self):
        """Return what scoring needs to know, made anew if anybody changed a fitted attribute."""
        source = [self.covariance_type, self.rank, *map(vars(self).get, LEARNED)]
        known = _KNOWN.get(self)
        if known is not None and all(map(_same, known.source, source)):
            return known
        structure, params = self._structure, self._params_in()
        frame = Frame.of_parameters(params, structure)
        # Copies, because somebody may also write into the arrays.
        source = [np.array(one) if isinstance(one, np.ndarray) else one for one in source]
        known = Known(source, structure, frame, frame.enter(params, structure), {})
        if sum(map(np.size, source)) <= REMEMBERED:
            _KNOWN[self] = known
        return known

    def __getattr__(self, name):
        """Return the full matrices of low-rank covariances, formed when somebody asks."""
        return dense_attribute(self, name)

    def _prepared(self, X):
        """Return a Table of `X` in the mixture's own frame, and the Posterior."""
        _, structure, frame, params, posteriors = self._known()
        few = kind_of(X) == NUMPY and len(X) < structure.few * X.shape[1]
        table = tabulate(X, structure, len(params.weights), frame=frame, with_features=not few)
        if table.frame is not frame:  # of float32, which has its own
            params = table.frame.enter(self._params_in(), structure)
            return table, Posterior(structure, params, few or table.centred, table.eps)
        how = few or table.centred, table.eps
        if how not in posteriors:
            posteriors[how] = Posterior(structure, params, *how)
        return table, posteriors[how]

    def _each_row(self, X, function, shape=(), dtype=None):
        """Return ``function(log_joint (K, B))``, an array (B, *shape), of all rows of `X`."""
        check_is_fitted(self)
        X = points(self, X)
        if kind_of(X) == DASK:
            from gmmlearn.cluster import lazily

            return lazily(copy.copy(self), X, function, shape, dtype)
        table, posterior = self._prepared(X)
        here, values = posterior.on(table), empty((len(X), *shape), like=X, dtype=dtype)

        def stripe(blocks):
            for block in blocks:
                log_joint = here.whole_log_joint(table, block)
                if not bool(table.xp.all(table.xp.isfinite(table.xp.max(log_joint, axis=0)))):
                    raise ValueError(
                        "X has a row so far from the mixture that its squared distance overflows. "
                        "Look for a wrong unit or a placeholder such as 1e300."
                    )
                log_joint -= table.log_volume(block)
                values[block.rows, ...] = function(log_joint)

        with table.workers(n_sweeps=1):
            table.map_stripes(stripe)
        return values

    def score_samples(self, X):
        """Return log p(x) for each row (eq. mixture-density).

        Parameters
        ----------
        X : array-like (N, D)
            Points; where NaN is missing, the density is that of the other features alone.

        Returns
        -------
        array (N,)
            Log densities in nats.
        """
        return self._each_row(X, normalise)

    def score(self, X, y=None, sample_weight=None):
        """Return the mean log density of the rows.

        Parameters
        ----------
        X : array-like (N, D)
            Points.
        y : ignored
        sample_weight : array-like (N,), optional
            Weight of each row.

        Returns
        -------
        float
            Mean nats per sample.
        """
        log_prob = self.score_samples(X)
        if sample_weight is None:
            return float(log_prob.mean())
        weight = weight_for(log_prob, sample_weight)
        return float((weight @ log_prob) / weight.sum())

    def predict(self, X):
        """Return the most probable component of each row.

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        int array (N,)
            Component labels.
        """
        return self._each_row(
            X, lambda log_joint: namespace(log_joint).argmax(log_joint, axis=0), dtype="int64"
        )

    def predict_proba(self, X):
        """Return r_nk = p(component k | x_n) (eq. mixture-responsibilities).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        array (N, K)
            Probabilities; each row sums to one.
        """

        def responsibilities(log_joint):
            normalise(log_joint)
            return log_joint.T

        check_is_fitted(self)
        return self._each_row(X, responsibilities, (len(self.weights_),))

    def impute(self, X, draw=False, random_state=None):
        """Return `X` with its missing values filled (eq. mixture-conditional).

        Parameters
        ----------
        X : array-like (N, D)
            Points; NaN is missing.
        draw : bool, default=False
            False: the mean of the missing values given the others. True: one draw from their
            distribution given the others, which keeps their spread.
        random_state : int, RandomState or None, default=None
            Source of the draws, as in `sample`.

        Returns
        -------
        array (N, D)
            A copy; what was there is unchanged.
        """
        check_is_fitted(self)
        X = points(self, X)
        if kind_of(X) == TORCH or (draw and kind_of(X) == DASK):
            refuse(kind_of(X), "impute with draw=True" if draw else "impute")
        if kind_of(X) == DASK:
            return X.map_blocks(copy.copy(self).impute, dtype=np.float64, meta=np.empty((0, 0)))
        filled = X.astype(np.float64)
        table, posterior = self._prepared(X)
        rng = self._own_stream() if random_state is None else check_random_state(random_state)
        for block in table.blocks:
            if block.starts is None:
                continue
            gap = posterior.gap(table.load_holes(block))
            _, resp = posterior.respond_seen(block, gap)
            values, gone = gap.draw(resp, rng) if draw else gap.mean(resp), gap.holes.gone_of_rows
            values = values * table.frame.scale[gone] + table.frame.origin[gone]
            filled[block.rows[:, None], gone] = values
        return filled

    def mixture(self):
        """Return the fitted parameters as a frozen `Mixture` with full covariances.

        Returns
        -------
        Mixture
            With `log_prob`, `responsibilities`, `sample`, `marginal` and `condition`.
        """
        check_is_fitted(self)
        return self.marginal(np.arange(self.means_.shape[1]))

    def marginal(self, features):
        """Return the mixture of some features alone (eq. mixture-marginal).

        Parameters
        ----------
        features : list of int
            Indices of the features to keep, in the order wanted.

        Returns
        -------
        Mixture
            Over the F features named.
        """
        check_is_fitted(self)
        params, structure = self._params_in(), self._structure
        features = as_features(features, params.means.shape[1])
        weights, means = params.weights / params.weights.sum(), params.means[:, features]
        covariances = structure.select(params.covariances, features)
        return Mixture(weights, means, structure.matrices(covariances, *means.shape))

    def condition(self, features, values):
        """Return the mixture of the other features, given these (eq. mixture-conditional).

        Its mean is the regression of the other features on these.

        Parameters
        ----------
        features : list of int
            Indices of the G features that are known.
        values : array-like (G,)
            Their values, in the same order.

        Returns
        -------
        Mixture
            Over the remaining D - G features, in increasing order of index.
        """
        check_is_fitted(self)
        params, structure = self._params_in(), self._structure
        known = as_features(features, params.means.shape[1], leave_some=True)
        values = as_numbers(values, "values", 1, f"({len(known)},)")
        if len(values) != len(known):
            raise ValueError(
                f"values has {len(values)} entries, but features names {len(known)}. Pass one each."
            )
        row = np.full((1, params.means.shape[1]), np.nan)
        row[0, known] = values
        gap = Gap(completion(structure, params), Holes(row, np.zeros(1, int)))
        weights = gap.log_joint()
        normalise(weights)
        means = np.stack([gap.expected(k, slice(None))[0] for k in range(len(weights))])
        spread = np.stack([gap.part(k).spread[0] for k in range(len(weights))])
        return Mixture(weights[:, 0], means, structure.matrices(spread, *means.shape))

    def sample(self, n_samples=1, random_state=None):
        """Draw points from the mixture (eq. mixture-latent).

        Parameters
        ----------
        n_samples : int >= 1, default=1
            Number of points N.
        random_state : int, RandomState or None, default=None
            Source of randomness. None goes on with the estimator's own stream, which its
            `random_state` began: every call draws anew. An integer repeats the same points.

        Returns
        -------
        X : array (N, D)
            Points, ordered by component.
        y : int array (N,)
            The component that each was drawn from.
        """
        check_is_fitted(self)
        n_samples = as_count(n_samples, "n_samples")
        rng = self._own_stream() if random_state is None else check_random_state(random_state)
        params = self._params_in()
        counts = rng.multinomial(n_samples, params.weights / params.weights.sum())
        labels = np.repeat(np.arange(len(counts)), counts)
        roots = self._structure.roots(self._structure.factor(params.covariances))
        X = rng.standard_normal((n_samples, params.means.shape[1]))
        for k, mean in enumerate(params.means):
            members = labels == k
            X[members] = mean + self._structure.colour(X[members], roots[k % len(roots)])
        return X, labels

    def _own_stream(self):
        """Return the generator that `sample` goes on with from call to call."""
        if not hasattr(self, "_stream"):
            self._stream = check_random_state(self.random_state)
        return self._stream

    def _n_parameters(self):
        """Return the number of free parameters: covariances, means, weights, unless fixed."""
        n_components, n_features = self.means_.shape
        free = {
            "covariances": self._structure.n_parameters(n_components, n_features),
            "means": n_components * n_features,
            "weights": n_components - 1,
        }
        return sum(number for name, number in free.items() if name not in (self.fixed or ()))

    def bic(self, X):
        """Return the Bayesian information criterion; lower is better (eq. bic).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        float
            -2 log likelihood + parameters x log N.
        """
        log_prob = self.score_samples(X)
        return float(-2 * log_prob.sum() + self._n_parameters() * math.log(len(log_prob)))

    def icl(self, X):
        """Return the integrated completed likelihood; lower is better (eq. icl).

        It adds to the BIC what the most probable labels leave unsure, and so prefers components
        that are apart.

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        float
            BIC - 2 sum_n log max_k r_nk.

        References
        ----------
        biernacki2000assessing.
        """

        # log p(x) + log max r is the largest log joint density.
        best = self._each_row(X, lambda log_joint: namespace(log_joint).max(log_joint, axis=0))
        return float(-2 * best.sum() + self._n_parameters() * math.log(len(best)))

    def aic(self, X):
        """Return the Akaike information criterion; lower is better (eq. aic).

        Parameters
        ----------
        X : array-like (N, D)
            Points.

        Returns
        -------
        float
            -2 log likelihood + 2 x parameters.
        """
        return float(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())


def _same(one, other):
    """Return whether two settings are equal, or two arrays, entry by entry."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    return one is other or (not isinstance(other, np.ndarray) and one == other)
