"""GaussianMixture: scikit-learn's API, faster, and with what its users ask for (chapters 5, 6)."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from gmmlearn._validation import as_numbers, as_probabilities
from gmmlearn.ascent import Climb, Progress, Settings, climb, collapsed, step
from gmmlearn.covariance import STRUCTURES, Parameters
from gmmlearn.scoring import Scoring, as_weight
from gmmlearn.starts import STARTS, blank
from gmmlearn.statistics import Posterior, Table


class CollapsedComponentWarning(UserWarning):
    """A component describes single or duplicate points, or none."""


class GaussianMixture(Scoring, DensityMixin, BaseEstimator):
    """Mixture of Gaussians, fitted by EM; replaces scikit-learn's class of the same name.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Each component has its own matrix; all share one matrix; each has its own variance for each
        feature; each has one variance.
    tol : float, default=1e-3
        Stop when the bound changes by less than this, in nats per sample.
    reg_covar : float, default=1e-6
        Variance added to the diagonal of each covariance, in squared units of X.
    max_iter : int, default=100
        Largest number of EM iterations.
    n_init : int, default=1
        Number of starts; the fit with the highest bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        How the starting responsibilities are made: from k-means clusters, from K points far apart,
        at random, or from K random points.
    weights_init : array-like (K,), default=None
        Starting weights instead.
    means_init : array-like (K, D), default=None
        Starting means instead.
    precisions_init : array-like, default=None
        Starting precisions (inverse covariances) instead, in the shape of `precisions_`.
    random_state : int, RandomState or None, default=None
        Source of randomness for the starts and for `sample`.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit.
    verbose : int, default=0
        1: a bar with the bound on long fits if tqdm is installed, otherwise scikit-learn's lines;
        2: scikit-learn's lines with bound and seconds.
    verbose_interval : int, default=10
        Iterations between lines.
    fixed : set of {"weights", "means", "covariances"}, default=None
        What stays as `weights_init`, `means_init` or `precisions_init` gave it.
    prior_strength : float, default=0.0
        Number of imaginary samples behind each covariance, spread like all data but 1 / K of its
        volume; keeps components from collapsing. `lower_bound_` then includes the log prior, which
        is 0 where a covariance equals the prior's (fraley2007bayesian).

    Attributes
    ----------
    weights_ : array (K,)
        Mixing weights.
    means_ : array (K, D)
        Means.
    covariances_ : array (K, D, D), (D, D), (K, D) or (K,)
        Covariances: full, tied, diag, spherical.
    precisions_ : array
        Their inverses, in the same shape.
    precisions_cholesky_ : array
        Upper triangular U with precision U U', or 1 / std, in the same shape.
    converged_ : bool
        Whether the best fit changed by less than `tol`.
    n_iter_ : int
        Iterations of the best fit.
    lower_bound_ : float
        Its bound before the last M-step, mean nats per sample.
    lower_bounds_ : list of float
        Its bound before each M-step.
    n_features_in_ : int
        Number of features D.
    feature_names_in_ : array of str (D,)
        Names of the features, if X had any.

    Notes
    -----
    With the same integer seed and settings, starts, labels and parameters are scikit-learn's. What
    differs on purpose:

    =====================  ======================================  =================================
    what                   scikit-learn                            here
    =====================  ======================================  =================================
    ``sample``             an integer `random_state` gives the     draws anew at each call; pass an
                           same points at every call               integer to ``sample`` to repeat
    float32 data           computed and returned in float32        computed and returned in float64
    tied covariance,       the first covariance depends on where   as if X were centred first
    start from points      the origin of X is
    component without      mean 0, covariance ``reg_covar``        keeps its parameters
    samples
    `fit` and `score`      no weights                              ``sample_weight``
    NaN                    refused                                 missing: EM on what is there
    collapsed component    silent                                  ``CollapsedComponentWarning``
    initial parameters     replaced by checked copies              left as they were passed
    verbose=1              lines                                   a bar, if tqdm is installed
    =====================  ======================================  =================================

    References
    ----------
    dempster1977maximum; bishop2006pattern, chapter 9.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> mixture.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(STARTS))],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "fixed": [set, frozenset, list, tuple, None],
        "prior_strength": [Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        fixed=None,
        prior_strength=0.0,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.fixed = fixed
        self.prior_strength = prior_strength

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the mixture to `X` by EM (algorithm em-algorithm).

        Parameters
        ----------
        X : array-like (N, D)
            Points; NaN is missing.
        y : ignored
        sample_weight : array-like (N,), optional
            Weight of each row; an integer weight equals the row repeated.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an argument is malformed, or a component's covariance becomes singular: raise
            `reg_covar` or use fewer components.
        """
        X = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=2,
        )
        weight = None
        if sample_weight is not None:
            weight = as_weight(sample_weight, len(X))
            if not weight.all():
                X, weight = X[weight > 0], weight[weight > 0]
        if len(X) < self.n_components:
            raise ValueError(
                f"n_components is {self.n_components}, but X has only n_samples = {len(X)} rows "
                "(of positive weight). Use at most one component for each."
            )
        given = self._given_parameters(X.shape[1])
        warm = self._goes_on(X.shape[1])
        table = Table(X, self._structure, self.n_components, weight)
        settings = self._settings(table, given, warm)
        with table.workers():
            best = self._climb_all(X, table, given, settings, warm)
        self._keep(table, best)
        self._warn(settings)
        self.__dict__.pop("_stream", None)
        return self

    def _climb_all(self, X, table, given, settings, warm):
        """Return the best Climb from all starts, or the last start if there are no iterations."""
        progress = Progress(self.verbose, self.verbose_interval, table.shift, self.max_iter)
        random_state = check_random_state(self.random_state)
        best, bound = None, self.lower_bound_ - table.shift if warm else -np.inf
        filled = X
        if not warm and any(block.seen is not None for block in table.blocks):
            filled = np.where(np.isnan(X), table.frame.origin, X)
        for number in range(1 if warm else self.n_init):
            progress.start(number)
            if warm:
                start = Posterior(self._structure, self._params_in(table.frame))
            else:
                start = self._start(filled, table, given, settings, random_state)
            if self.max_iter == 0:
                best = Climb(start.params, [], False)
                continue
            arrived = climb(table, start, bound, settings, progress)
            if best is None or arrived.lower_bounds[-1] > best.lower_bounds[-1]:
                best = arrived
        return best

    def _settings(self, table, given, warm):
        """Return the Settings, in the frame of the table."""
        fixed = frozenset() if self.fixed is None else frozenset(self.fixed)
        known = dict(zip(("weights", "means", "covariances"), given, strict=False))
        for name in sorted(fixed, key=str):
            if name not in known:
                raise ValueError(f"fixed names {name!r}. Use 'weights', 'means', 'covariances'.")
            if known[name] is None and not warm:
                source = "precisions_init" if name == "covariances" else f"{name}_init"
                raise ValueError(f"fixed names {name!r}, but {source} is None. Pass what to keep.")
        prior = blank(table, self.n_components).covariances
        return Settings(
            self.max_iter,
            self.tol,
            self.reg_covar / table.frame.scale**2,
            fixed,
            self.prior_strength,
            prior / self.n_components ** (2.0 / table.n_features),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit the mixture to `X` and return the most probable component of each row.

        Parameters
        ----------
        X : array-like (N, D)
            Points.
        y : ignored
        sample_weight : array-like (N,), optional
            Weight of each row.

        Returns
        -------
        int array (N,)
            Component labels.
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def _goes_on(self, n_features):
        """Return whether `fit` goes on from the last fit; raise if it cannot."""
        if not (self.warm_start and hasattr(self, "converged_")):
            return False
        shape = self._structure.shape(self.n_components, n_features)
        if self.means_.shape != (self.n_components, n_features) or shape != np.shape(
            self._structure.to_internal(self.covariances_)
        ):
            raise ValueError(
                "warm_start cannot go on: n_components, covariance_type or the number of features "
                "differs from the last fit. Set warm_start=False."
            )
        return True

    def _start(self, X, table, given, settings, random_state):
        """Return the Posterior of the starting parameters in the frame."""
        structure, params = self._structure, given
        if any(part is None for part in given):
            respond = STARTS[self.init_params](X, self.n_components, table.weight, random_state)
            before = blank(table, self.n_components)
            settings = settings._replace(fixed=frozenset())
            posterior, sums = step(table, respond.begin(structure, before), before, settings)
            # Shares of all samples, which sum to less than one if only single points were taken.
            weights = posterior.params.weights * (sums.counts.sum() / table.total_weight)
            own = table.frame.leave(posterior.params._replace(weights=weights), structure)
            params = [b if a is None else a for a, b in zip(given, own, strict=True)]
        return Posterior(structure, table.frame.enter(Parameters(*params), structure))

    def _given_parameters(self, n_features):
        """Return weights, means, covariances and their factors as passed, or None for each."""
        weights, means, covariances, factors = None, None, None, None
        if self.weights_init is not None:
            weights = as_probabilities(self.weights_init, "weights_init")
            _require_shape(weights, (self.n_components,), "weights_init")
        if self.means_init is not None:
            means = as_numbers(self.means_init, "means_init", 2, "(n_components, n_features)")
            _require_shape(means, (self.n_components, n_features), "means_init")
        if self.precisions_init is not None:
            covariances, factors = self._given_precisions(n_features)
        return weights, means, covariances, factors

    def _given_precisions(self, n_features):
        """Return the covariances and factors that belong to `precisions_init`."""
        structure = self._structure
        shape = structure.shape(self.n_components, n_features)
        public = structure.to_public(np.empty(shape)).shape
        precisions = as_numbers(self.precisions_init, "precisions_init", len(public), str(public))
        _require_shape(precisions, public, "precisions_init")
        try:
            factors = structure.factor_precisions(structure.to_internal(precisions))
        except ValueError as error:
            raise ValueError(
                f"precisions_init should be symmetric and positive definite, but {error}. "
                "Invert covariances with np.linalg.inv and average with the transpose."
            ) from None
        return structure.invert(factors), factors

    def _keep(self, table, climb):
        """Store a fit as the fitted attributes."""
        structure = self._structure
        params = table.frame.leave(climb.params, structure)
        self.weights_, self.means_ = params.weights, params.means
        self.covariances_ = structure.to_public(params.covariances)
        self.precisions_cholesky_ = structure.to_public(params.precisions_cholesky)
        self.precisions_ = structure.to_public(structure.precisions(params.precisions_cholesky))
        self.converged_, self.n_iter_ = climb.converged, len(climb.lower_bounds)
        self.lower_bounds_ = [bound + table.shift for bound in climb.lower_bounds]
        self.lower_bound_ = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf

    def _warn(self, settings):
        """Warn of a fit that did not converge, and of components that collapsed."""
        if not self.converged_ and self.max_iter > 0:
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=4,
            )
        names = collapsed(self._structure, self._params_in(), self.reg_covar)
        if self.max_iter > 0 and len(names):
            warnings.warn(
                f"Collapsed onto single or duplicate points, or empty: component "
                f"{', '.join(map(str, names))}. Its density there means nothing. Set "
                "prior_strength, raise reg_covar, or use fewer components.",
                CollapsedComponentWarning,
                stacklevel=4,
            )


def _require_shape(values, shape, name):
    """Raise ValueError unless `values` has `shape`."""
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}.")
