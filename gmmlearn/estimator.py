"""GaussianMixture: scikit-learn's API, faster, and with what its users ask for (chapters 5, 6)."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from gmmlearn.ascent import Climb, climb, step
from gmmlearn.collapse import CollapsedComponentWarning, collapsed, user_level
from gmmlearn.covariance import STRUCTURES, Parameters
from gmmlearn.intake import rows, tabulate
from gmmlearn.low_rank import LowRank
from gmmlearn.mixture import as_mixture
from gmmlearn.progress import Progress
from gmmlearn.scoring import Scoring
from gmmlearn.starts import STARTS, blank, given_parameters, settings_of
from gmmlearn.statistics import Posterior
from gmmlearn.stream import Streaming

SHAPING = ("n_components", "covariance_type", "rank")
"""Arguments that fitted parameters have their shapes from."""

PUBLISHED = {
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
    "loadings_",
    "noise_variance_",
}
"""Fitted attributes, some of which each structure has."""


class GaussianMixture(Streaming, Scoring, DensityMixin, BaseEstimator):
    """Mixture of Gaussians, fitted by EM; replaces scikit-learn's class of the same name.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical", "low_rank"}, default="full"
        Each component has its own matrix; all share one matrix; each has its own variance for each
        feature; each has one variance; each has loadings W (D, rank) and a noise variance for each
        feature, with covariance W W' + diag(noise), a factor analyser (ghahramani1996em).
    tol : float, default=1e-3
        Stop when the bound changes by less than this, in nats per sample.
    reg_covar : float, default=1e-6
        Variance added to the diagonal of each covariance, in squared units of X; for low_rank, to
        the noise.
    max_iter : int, default=100
        Largest number of EM iterations.
    n_init : int, default=1
        Number of starts; the fit with the highest bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "whitened"}, \
default="kmeans"
        How the starting responsibilities are made: from k-means clusters, from K points far apart,
        at random, from K random points, or from k-means clusters of whitened data, which unequal
        scales and correlations cannot mislead.
    weights_init : array-like (K,), default=None
        Starting weights instead.
    means_init : array-like (K, D), default=None
        Starting means instead.
    precisions_init : array-like, default=None
        Starting precisions (inverse covariances) instead, in the shape of `precisions_`; not for
        low_rank.
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
        What stays as `weights_init`, `means_init` or `precisions_init` gave it, or `loadings_init`
        and `noise_variance_init`.
    prior_strength : float, default=0.0
        Number of imaginary samples behind each covariance, spread like all data but 1 / K of its
        volume; keeps components from collapsing. `lower_bound_` then includes the log prior, which
        is 0 where a covariance equals the prior's (fraley2007bayesian).
    rank : int, default=1
        For low_rank: number of factors r of each component, below the number of features. A fit
        stores K D (r + 1) numbers for its covariances and never makes a D x D array.
    loadings_init : array-like (K, D, rank), default=None
        For low_rank: starting loadings instead of some turned towards the principal axes of each
        starting cluster; together with `noise_variance_init`.
    noise_variance_init : array-like (K, D), default=None
        For low_rank: starting noise variances.

    Attributes
    ----------
    weights_ : array (K,)
        Mixing weights.
    means_ : array (K, D)
        Means.
    covariances_ : array (K, D, D), (D, D), (K, D) or (K,)
        Covariances: full, tied, diag, spherical. For low_rank (K, D, D), formed anew each time
        somebody asks, like `precisions_` and `precisions_cholesky_`.
    precisions_ : array
        Their inverses, in the same shape.
    precisions_cholesky_ : array
        Upper triangular U with precision U U', or 1 / std, in the same shape.
    loadings_ : array (K, D, rank)
        For low_rank: W. Its columns are orthogonal in units of the noise, the strongest first; only
        W W' is determined by the data.
    noise_variance_ : array (K, D)
        For low_rank: noise variances.
    converged_ : bool
        Whether the best fit changed by less than `tol`.
    collapsed_ : bool
        Whether `fit` warned of a component that collapsed.
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

    ====================  ====================================  ====================================
    what                  scikit-learn                          here
    ====================  ====================================  ====================================
    ``sample``            an integer ``random_state`` gives     draws anew at each call; pass an
                          the same points at every call         integer to ``sample`` to repeat;
                                                                the first draws differ already
    ``sample(3.0)``       three points                          refused: not a whole number
    ``warm_start``        another ``n_components`` or           refused
                          ``covariance_type``: ignored, or an
                          error from within
    ``n_init``, ties      the first of equal bounds             the same, but rounding differs, and
                                                                with it which start wins a tie and
                                                                the order of components
    float32 data          computed and returned in float32      computed and returned in float64
    tied, from points     the first covariance depends on       as if X were centred first
                          where the origin of X is
    empty component       mean 0, covariance ``reg_covar``      keeps its parameters
    singular covariance   an error, or noise if rounding hides  an error that names the component
                          it
    collapsed component   silent                                ``CollapsedComponentWarning``
    NaN                   refused                               missing: EM on what is there
    weights of rows       none                                  ``sample_weight``
    ``*_init`` arrays     replaced by checked copies            left as they were passed
    ``verbose=1``         lines                                 a bar, if tqdm is installed
    low-rank covariances  none                                  ``covariance_type="low_rank"``
    ====================  ====================================  ====================================

    What `X` may be, with rows that are complete or not, with weights or without; every other
    combination is refused by name:

    ======  ===============  ========  ========  ==============  ====
    X       covariance_type  complete  weights   missing values  both
    ======  ===============  ========  ========  ==============  ====
    NumPy   full             yes       yes       yes             yes
    NumPy   tied             yes       yes       yes             yes
    NumPy   diag             yes       yes       yes             yes
    NumPy   spherical        yes       yes       yes             yes
    NumPy   low_rank         yes       yes       yes             yes
    torch   full             yes       yes       no              no
    torch   tied             yes       yes       no              no
    torch   diag             yes       yes       no              no
    torch   spherical        yes       yes       no              no
    torch   low_rank         no        no        no              no
    Dask    full             yes       yes       yes             yes
    Dask    tied             yes       yes       yes             yes
    Dask    diag             yes       yes       yes             yes
    Dask    spherical        yes       yes       yes             yes
    Dask    low_rank         yes       yes       yes             yes
    ======  ===============  ========  ========  ==============  ====

    A torch tensor, float64 or float32, stays on its device: only the parameters travel there and
    the sums back, once for each pass. Answers are tensors on the same device; fitted attributes are
    NumPy's whatever `X` is, so that a mixture fitted on one kind answers for another. float64 gives
    NumPy's numbers to about ten digits. float32 is computed in float32, added over blocks in
    float64: log densities are right to about 0.001 nats, as long as products are not rounded
    further (torch's TF32 is off by default).

    A Dask array needs whole rows in its chunks, which may be larger in sum than any memory: each
    pass visits each chunk where it is and adds the sums. Answers are Dask arrays, computed when
    asked. `X.persist()` before `fit` spares making the chunks anew at each pass.

    Starts are made on the host. From tensors and Dask arrays of more than 50,000 rows they take
    that many at random, because k-means reads its rows many times.

    References
    ----------
    dempster1977maximum; bishop2006pattern, chapter 9; ghahramani1996em.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0, 2], [1, 4], [2, 0], [9, 2], [10, 4], [11, 0]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> mixture.means_.round(3)
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> mixture.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({*STRUCTURES, LowRank.name})],
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
        "rank": [Interval(Integral, 1, None, closed="left")],
        "loadings_init": ["array-like", None],
        "noise_variance_init": ["array-like", None],
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
        rank=1,
        loadings_init=None,
        noise_variance_init=None,
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
        self.rank = rank
        self.loadings_init = loadings_init
        self.noise_variance_init = noise_variance_init

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the mixture to `X` by EM (algorithm em-algorithm).

        Parameters
        ----------
        X : array-like, torch tensor or Dask array (N, D)
            Points; NaN is missing. The class's notes say which kinds support what.
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
        X, weight = rows(self, X, sample_weight)
        given = given_parameters(self, X.shape[1])
        warm = self._goes_on(X.shape[1])
        table = tabulate(X, self._structure, self.n_components, weight)
        settings = settings_of(self, table, given, warm)
        progress = Progress(self.verbose, self.verbose_interval, table.shift, self.max_iter)
        with table.workers(), progress:
            best = self._climb_all(table, given, settings, warm, progress)
        self._keep(table, best)
        self._weight_seen = table.total_weight
        for remembered in ("_stream", "_running"):
            self.__dict__.pop(remembered, None)
        self._warn(table)
        return self

    def _climb_all(self, table, given, settings, warm, progress):
        """Return the best Climb from all starts, or the last start if there are no iterations."""
        random_state = check_random_state(self.random_state)
        best, bound = None, self.lower_bound_ - table.shift if warm else -np.inf
        few = None if warm else table.on_host(random_state)
        for number in range(1 if warm else self.n_init):
            progress.start(number)
            if warm:
                params = self._params_in(table.frame)
                start = Posterior(self._structure, params, table.centred, table.eps)
            else:
                start = self._start(few, table, given, settings, random_state)
            if self.max_iter == 0:
                best = Climb(start.params, [], False)
                continue
            arrived = climb(table, start, bound, settings, progress)
            if best is None or arrived.lower_bounds[-1] > best.lower_bounds[-1]:
                best = arrived
        return best

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
        self._refuse_change("warm_start", "Set warm_start=False.")
        if self.means_.shape[1] != n_features:
            raise ValueError(
                f"warm_start cannot go on: X has {n_features} features, the last fit had "
                f"{self.means_.shape[1]}. Set warm_start=False."
            )
        return True

    def _refuse_change(self, who, cure):
        """Raise unless the fitted parameters have the shape that is asked for now."""
        for name, was in self._fitted_as.items():
            now = getattr(self, name)
            if now != was:
                raise ValueError(f"{who} cannot go on: {name} is {now!r}, but was {was!r}. {cure}")

    def _start(self, few, table, given, settings, random_state):
        """Return the Posterior of the starting parameters in the frame, made from a few rows."""
        structure, params = self._structure, given
        if any(part is None for part in given):
            X = _filled(few)
            respond = STARTS[self.init_params](X, self.n_components, few.weight, random_state)
            respond = respond.spread(X) if structure.n_looks > 1 else respond
            before = structure.first_guess(blank(few, self.n_components), random_state)
            settings = settings._replace(fixed=frozenset())
            for _ in range(structure.n_looks):
                respond.begin(structure, before, few.centred)
                posterior, sums = step(few, respond, before, settings)
                before = posterior.params
            # Shares of all samples, which sum to less than one if only single points were taken.
            weights = posterior.params.weights * (sums.counts.sum() / few.total_weight)
            own = table.frame.leave(posterior.params._replace(weights=weights), structure)
            params = [b if a is None else a for a, b in zip(given, own, strict=True)]
        params = table.frame.enter(Parameters(*params), structure)
        return Posterior(structure, params, table.centred, table.eps)

    def _keep(self, table, climb):
        """Store a fit as the fitted attributes."""
        params = table.frame.leave(climb.params, self._structure)
        self._structure.require_definite(params.covariances, params.precisions_cholesky)
        self._publish(params)
        self.converged_, self.n_iter_ = climb.converged, len(climb.lower_bounds)
        self.lower_bounds_ = [bound + table.shift for bound in climb.lower_bounds]
        self.lower_bound_ = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf

    def _publish(self, params):
        """Store parameters, in the units of X, as the fitted attributes of the structure."""
        self.weights_, self.means_ = params.weights, params.means
        for name in PUBLISHED & vars(self).keys():  # those of another structure's fit
            delattr(self, name)
        for name, value in self._structure.publish(params).items():
            setattr(self, name, value)
        self._fitted_as = {name: getattr(self, name) for name in SHAPING}

    @classmethod
    def from_mixture(cls, mixture, **settings):
        """Return an estimator that counts as fitted, with the parameters of a mixture.

        Parameters
        ----------
        mixture : Mixture
            Parameters, wherever they come from.
        **settings
            Other arguments of the class; covariances are full. With ``warm_start=True``, `fit` goes
            on from here.

        Returns
        -------
        GaussianMixture

        Examples
        --------
        >>> from gmmlearn import Mixture
        >>> known = Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> GaussianMixture.from_mixture(known).predict([[-2.0], [3.0]])
        array([0, 1])
        """
        mixture = as_mixture(mixture)
        taken = {"n_components": mixture.n_components, "covariance_type": "full"}
        for name in taken.keys() & settings.keys():
            raise ValueError(f"{name} is {taken[name]!r}, as the mixture has it. Leave it out.")
        estimator = cls(**taken, **settings)
        means, covariances = mixture.means.copy(), mixture.covariances.copy()
        factors = estimator._structure.factor(covariances)
        estimator._publish(Parameters(mixture.weights.copy(), means, covariances, factors))
        estimator.n_features_in_ = mixture.n_features
        estimator.converged_, estimator.collapsed_ = False, False
        estimator.n_iter_, estimator.lower_bounds_, estimator.lower_bound_ = 0, [], -np.inf
        return estimator

    def _warn(self, table):
        """Warn of a fit that did not converge, and of components that collapsed."""
        self.collapsed_ = False
        if self.max_iter == 0:
            return
        if not self.converged_:
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                "Best performing initialization did not converge. Try different init parameters, "
                "or increase max_iter, tol, or check for degenerate data.",
                ConvergenceWarning,
                stacklevel=user_level(),
            )
        found = collapsed(self, table)
        self.collapsed_ = found is not None
        if found:
            warnings.warn(found, CollapsedComponentWarning, stacklevel=user_level())


def _filled(table):
    """Return the rows of a Table, each missing value at the middle of its feature."""
    if all(block.starts is None for block in table.blocks):
        return table.X
    return np.where(np.isnan(table.X), table.frame.origin, table.X)
