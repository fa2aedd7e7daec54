"""Where EM begins: starting responsibilities, the same as scikit-learn's for the same seed."""

import numpy as np

from gmmlearn._validation import as_numbers, as_probabilities
from gmmlearn.ascent import Settings
from gmmlearn.covariance import Parameters
from gmmlearn.low_rank import LowRank
from gmmlearn.missing import Gap, completion


class _Start:
    """Responsibilities that no parameters made; takes the place of a Posterior in `sweep`."""

    exact = np.arange(0)
    natural = ()

    def begin(self, structure, params, centred=False):
        """Remember the parameters that fill missing values, before there are better ones."""
        self.structure, self.params = structure, params
        if centred:
            self.exact, self.natural = np.arange(len(params.means)), None
        self.projection = structure.projection(params.precisions_cholesky)
        self.completion = completion(structure, params)
        return self

    def spread(self, X):
        """Return a start like this one in which components have more than a point each."""
        return self

    def on(self, table):
        """Return the same: starts are made on the host."""
        return self

    def gap(self, holes):
        """Return what an incomplete block needs."""
        return Gap(self.completion, holes)

    def respond_seen(self, block, gap):
        """Return 0 and the responsibilities (K, B) of incomplete rows."""
        return self.respond(block, None, None)

    def outside(self, table):
        """Return 0: nothing was left out of log p(x), which is not known yet."""
        return 0.0


class Labels(_Start):
    """Each point belongs to one component."""

    def __init__(self, labels, n_components):
        self.labels, self.n_components = labels, n_components

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B) of zero and one."""
        members = self.labels[block.rows] == np.arange(self.n_components)[:, None]
        return 0.0, members.astype(float)


class Soft(_Start):
    """Responsibilities drawn uniformly."""

    def __init__(self, resp):
        self.resp = resp

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B)."""
        return 0.0, np.ascontiguousarray(self.resp[block.rows].T)


class Single(_Start):
    """Component k belongs to one point; the other points to none."""

    def __init__(self, indices, weight):
        self.indices = indices
        # A sweep multiplies by the row's weight; one point counts once whatever its weight.
        self.shares = np.ones(len(indices)) if weight is None else 1.0 / weight[indices]

    def spread(self, X):
        """Return the start in which each point belongs to the nearest of the single points."""
        from sklearn.metrics import pairwise_distances_argmin

        return Labels(pairwise_distances_argmin(X, X[self.indices]), len(self.indices))

    def respond(self, block, features, Z):
        """Return 0 and responsibilities (K, B), one entry for each component overall."""
        rows = block.rows
        rows = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        return 0.0, (rows == self.indices[:, None]) * self.shares[:, None]


def by_kmeans(X, n_components, weight, random_state):
    """Start from the clusters of one run of k-means."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(n_components, n_init=1, random_state=random_state)
    return Labels(kmeans.fit(X, sample_weight=weight).labels_, n_components)


def by_random(X, n_components, weight, random_state):
    """Start from random responsibilities."""
    resp = random_state.uniform(size=(len(X), n_components))
    resp /= resp.sum(axis=1)[:, None]
    return Soft(resp)


def by_random_points(X, n_components, weight, random_state):
    """Start from K different points."""
    chance = None if weight is None else weight / weight.sum()
    return Single(random_state.choice(len(X), n_components, replace=False, p=chance), weight)


def by_kmeans_plusplus(X, n_components, weight, random_state):
    """Start from K points far apart."""
    from sklearn.cluster import kmeans_plusplus

    _, indices = kmeans_plusplus(X, n_components, sample_weight=weight, random_state=random_state)
    return Single(indices, weight)


def by_whitened(X, n_components, weight, random_state):
    """Start from k-means clusters of whitened data, whatever the scales and correlations."""
    mean = np.average(X, axis=0, weights=weight)
    centred = X - mean
    spread = np.sqrt(np.average(centred**2, axis=0, weights=weight))
    centred /= np.where(spread > 0, spread, 1.0)
    covariance = np.atleast_2d(np.cov(centred.T, aweights=weight, ddof=0))
    variances, axes = np.linalg.eigh(covariance)
    kept = variances > 1e-10 * variances.max()
    if not kept.any():
        return by_kmeans(X, n_components, weight, random_state)
    whitened = centred @ (axes[:, kept] / np.sqrt(variances[kept]))
    return by_kmeans(whitened, n_components, weight, random_state)


STARTS = {
    "kmeans": by_kmeans,
    "k-means++": by_kmeans_plusplus,
    "random": by_random,
    "random_from_data": by_random_points,
    "whitened": by_whitened,
}


def blank(table, n_components):
    """Return one broad Gaussian over all data, K times: what a component without points keeps."""
    structure, n_features = table.structure, table.n_features
    variances = np.where(table.variance > 0, table.variance, 1.0)
    n_covariances = structure.shape(n_components, n_features)[0]
    covariances = structure.from_variances(np.tile(variances, (n_covariances, 1)))
    return Parameters(
        np.full(n_components, 1.0 / n_components),
        np.zeros((n_components, n_features)),
        covariances,
        structure.factor(covariances),
    )


def given_parameters(mixture, n_features):
    """Return weights, means, covariances and their factors as passed, or None for each."""
    weights, means, covariances, factors = None, None, None, None
    shape = (mixture.n_components, n_features)
    if mixture.weights_init is not None:
        weights = as_probabilities(mixture.weights_init, "weights_init")
        _require_shape(weights, shape[:1], "weights_init")
    if mixture.means_init is not None:
        means = as_numbers(mixture.means_init, "means_init", 2, "(n_components, n_features)")
        _require_shape(means, shape, "means_init")
    structure, names = mixture._structure, ("precisions_init", *LowRank.inits)
    passed = {name for name in names if getattr(mixture, name) is not None}
    if passed - {*structure.inits}:
        raise ValueError(
            f"{min(passed - {*structure.inits})} does not fit covariance_type="
            f"{structure.name!r}. Use {' and '.join(structure.inits)}."
        )
    if passed:
        given = _given_loadings if passed & {*LowRank.inits} else _given_precisions
        covariances, factors = given(mixture, shape)
    return weights, means, covariances, factors


def _given_loadings(mixture, shape):
    """Return the covariances and factors of `loadings_init` and `noise_variance_init`."""
    structure, parts = mixture._structure, []
    for name, n_dims, expected in (
        ("loadings_init", 3, (*shape, structure.rank)),
        ("noise_variance_init", 2, shape),
    ):
        if getattr(mixture, name) is None:
            raise ValueError(
                f"{name} is None. Pass loadings_init and noise_variance_init, or none."
            )
        parts.append(as_numbers(getattr(mixture, name), name, n_dims, str(expected)))
        _require_shape(parts[-1], expected, name)
    if not (parts[1] > 0).all():
        raise ValueError(
            f"noise_variance_init has an entry that is not positive ({parts[1].min():g}). Use a "
            "small variance instead."
        )
    covariances = np.concatenate([parts[0], parts[1][..., None]], axis=2)
    return covariances, structure.factor(covariances)


def _given_precisions(mixture, shape):
    """Return the covariances and factors that belong to `precisions_init`."""
    structure = mixture._structure
    public = structure.to_public(np.empty(structure.shape(*shape))).shape
    precisions = as_numbers(mixture.precisions_init, "precisions_init", len(public), str(public))
    _require_shape(precisions, public, "precisions_init")
    try:
        factors = structure.factor_precisions(structure.to_internal(precisions))
    except ValueError as error:
        raise ValueError(
            f"precisions_init should be symmetric and positive definite, but {error}. "
            "Invert covariances with np.linalg.inv and average with the transpose."
        ) from None
    return structure.invert(factors), factors


def _require_shape(values, shape, name):
    """Raise ValueError unless `values` has `shape`."""
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}. Pass that shape.")


def settings_of(mixture, table, given, warm):
    """Return the Settings of an estimator, in the frame of the table."""
    fixed = frozenset() if mixture.fixed is None else frozenset(mixture.fixed)
    known = dict(zip(("weights", "means", "covariances"), given, strict=False))
    for name in sorted(fixed, key=str):
        if name not in known:
            raise ValueError(f"fixed names {name!r}. Use 'weights', 'means', 'covariances'.")
        if known[name] is None and not warm:
            inits = mixture._structure.inits
            source = " and ".join(inits) if name == "covariances" else f"{name}_init"
            raise ValueError(f"fixed names {name!r}, but {source} is None. Pass what to keep.")
    prior = blank(table, mixture.n_components).covariances
    reg_covar = mixture.reg_covar / table.frame.scale**2
    return Settings(
        mixture.max_iter,
        mixture.tol,
        reg_covar,
        fixed,
        mixture.prior_strength,
        prior / mixture.n_components ** (2.0 / table.n_features),
        np.where(reg_covar > table.rounding, 0.0, table.rounding)[_width(table)],
    )


def _width(table):
    """Return which features have a variance of their own."""
    return slice(1) if table.structure.isotropic else slice(None)
