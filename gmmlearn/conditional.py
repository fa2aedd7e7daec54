"""JointMixture: codes and their attributes under one component variable (chapter 9)."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from gmmlearn._validation import as_count, as_nonnegative, as_rng
from gmmlearn.attributes import as_asked, as_attributes, levels_of, one_hot, smoothed, split
from gmmlearn.estimator import GaussianMixture
from gmmlearn.intake import rows
from gmmlearn.joint_ascent import climb_jointly, start_labels
from gmmlearn.mixture import Mixture, log_sum_exp
from gmmlearn.starts import settings_of
from gmmlearn.table import Table


class JointMixture(BaseEstimator):
    """Mixture over codes and categorical attributes together, fitted by EM.

    The component k is drawn first; given k, each attribute comes from its own table of
    probabilities and the code from a Gaussian, all independently (eq. joint-density).

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Structure of the codes' covariances, as in `GaussianMixture`.
    levels : dict of str to sequence, default=None
        Names of each attribute's levels, in the order of their numbers; an attribute that is not
        named here has the levels 0, 1, ... up to the largest seen.
    stratify : sequence of str, default=()
        Attributes that start pure: each combination of their levels gets components of its own, in
        proportion to its samples. EM may mix them again.
    concentration : float > 0, default=0.1
        Imaginary samples of each level in each component: a level that a component never showed
        keeps a little probability (a Dirichlet prior; the bounds include its logarithm).
    reg_covar : float, default=1e-6
        Variance added to each covariance, in squared units of the codes.
    prior_strength : float, default=0.0
        Imaginary samples behind each covariance, as in `GaussianMixture`.
    max_iter : int, default=100
        Largest number of EM iterations.
    tol : float, default=1e-3
        Stop when the bound changes by less than this, in nats per sample.
    random_state : int, RandomState or None, default=None
        Source of randomness for the start.

    Attributes
    ----------
    gaussians_ : GaussianMixture
        The codes alone, attributes summed out.
    tables_ : dict of str to array (K, L)
        Probability of each level in each component.
    levels_ : dict of str to tuple
        Levels of each attribute.
    lower_bounds_ : list of float
        The bound before each M-step, mean nats per sample, log priors included.
    converged_ : bool
        Whether it changed by less than `tol`.

    References
    ----------
    dempster1977maximum; mclachlan2000finite.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[0.0], [1.0], [2.0], [8.0], [9.0], [10.0]])
    >>> seasons = {"season": [0, 0, 0, 1, 1, 1]}
    >>> joint = JointMixture(2, levels={"season": ("winter", "summer")}, random_state=0)
    >>> summer = joint.fit(codes, seasons).condition(season="summer")
    >>> (summer.weights @ summer.means).round(1)
    array([8.7])
    """

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        levels=None,
        stratify=(),
        concentration=0.1,
        reg_covar=1e-6,
        prior_strength=0.0,
        max_iter=100,
        tol=1e-3,
        random_state=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.levels = levels
        self.stratify = stratify
        self.concentration = concentration
        self.reg_covar = reg_covar
        self.prior_strength = prior_strength
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, codes, attributes):
        """Fit codes and attributes together by EM (eq. joint-e-step, joint-m-step-tables).

        Parameters
        ----------
        codes : array-like (N, D)
            Codes; NaN is missing.
        attributes : dict of str to array-like (N,)
            Number of the level of each sample, -1 where it is not known.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an argument is malformed, or a component's covariance becomes singular: raise
            `reg_covar` or `prior_strength`, or use fewer components.
        """
        if as_nonnegative(self.concentration, "concentration") == 0:
            raise ValueError("concentration is 0. Use a small number such as 0.1: log 0 is needed.")
        gaussians = self._gaussians()
        gaussians._validate_params()
        codes, _ = rows(gaussians, codes, None)
        attributes = as_attributes(attributes, len(codes))
        self.levels_ = levels_of(attributes, self.levels)
        features = one_hot(attributes, self.levels_, len(codes))
        labels = start_labels(
            codes, attributes, self.n_components, self.stratify, self.random_state
        )
        smooth = partial(smoothed, levels=self.levels_, concentration=self.concentration)
        table = Table(codes, gaussians._structure, self.n_components)
        settings = settings_of(gaussians, table, (None,) * 4, False)
        with table.workers():
            climb, tables = climb_jointly(
                table, settings, self.n_components, labels, features, smooth
            )
        gaussians._keep(table, climb)
        self.gaussians_, self.tables_ = gaussians, split(tables, self.levels_)
        self.lower_bounds_, self.converged_ = gaussians.lower_bounds_, gaussians.converged_
        if not self.converged_:
            warnings.warn(
                f"EM did not converge in {self.max_iter} iterations. Raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _gaussians(self):
        """Return an unfitted GaussianMixture with the settings that both share."""
        shared = ("covariance_type", "reg_covar", "prior_strength", "max_iter", "tol")
        return GaussianMixture(
            self.n_components,
            random_state=self.random_state,
            **{name: getattr(self, name) for name in shared},
        )

    def _log_tables(self):
        """Return the logarithms of all tables side by side (K, L)."""
        if not self.levels_:
            return np.zeros((self.n_components, 0))
        return np.log(np.concatenate(list(self.tables_.values()), axis=1))

    def _log_joint(self, codes, attributes):
        """Return log p(k, code, attributes) (N, K); None stands for nothing known."""
        check_is_fitted(self)
        if codes is None and not attributes:
            raise ValueError("codes and attributes are both empty. Pass one of them.")
        if codes is None:
            n_samples = len(next(iter(attributes.values())))
            with np.errstate(divide="ignore"):  # a component may have lost all its samples
                log_joint = np.log(self.weights_) + np.zeros((n_samples, 1))
        else:
            n_components = len(self.weights_)
            log_joint = self.gaussians_._each_row(codes, np.transpose, (n_components,))
        attributes = as_attributes({} if attributes is None else attributes, len(log_joint))
        return log_joint + one_hot(attributes, self.levels_, len(log_joint)) @ self._log_tables().T

    @property
    def weights_(self):
        """Mixing weights (K,)."""
        return self.gaussians_.weights_

    def log_prob(self, codes=None, attributes=None):
        """Return log p(code, attributes), whatever is missing summed out (eq. joint-density).

        Parameters
        ----------
        codes : array-like (N, D), optional
            Codes; NaN is missing.
        attributes : dict of str to array-like (N,), optional
            Numbers of levels; -1, and attributes that are left out, are missing.

        Returns
        -------
        array (N,)
            Nats.
        """
        return log_sum_exp(self._log_joint(codes, attributes))

    def responsibilities(self, codes=None, attributes=None):
        """Return p(component | code, attributes) (eq. joint-e-step).

        Parameters
        ----------
        codes, attributes
            As in `log_prob`.

        Returns
        -------
        array (N, K)
            Probabilities; each row sums to one.
        """
        log_joint = self._log_joint(codes, attributes)
        return np.exp(log_joint - log_sum_exp(log_joint)[:, None])

    def predict_attributes(self, codes=None, attributes=None):
        """Return the probability of each level of each attribute (eq. joint-attributes).

        Parameters
        ----------
        codes, attributes
            What is known, as in `log_prob`.

        Returns
        -------
        dict of str to array (N, L)
            Probabilities given all that is known; each row sums to one.
        """
        resp = self.responsibilities(codes, attributes)
        found = {name: resp @ table for name, table in self.tables_.items()}
        known = as_attributes({} if attributes is None else attributes, len(resp))
        for name, certain in split(one_hot(known, self.levels_, len(resp)), self.levels_).items():
            rows = certain.any(axis=1)
            found[name][rows] = certain[rows]
        return found

    def component_probabilities(self, **given):
        """Return p(component | attributes) (eq. joint-condition).

        Parameters
        ----------
        **given : level, or collection of levels
            What is asked, such as ``season="spring"`` or ``n_trees=(1, 2)``; a collection asks for
            any of its levels.

        Returns
        -------
        array (K,)
            Probabilities.

        Raises
        ------
        ValueError
            If an attribute or a level is unknown; the message lists those that are known.
        """
        check_is_fitted(self)
        with np.errstate(divide="ignore"):  # a component may have lost all its samples
            log_joint = np.log(self.weights_)
        for name, chosen in as_asked(given, self.levels_).items():
            log_joint = log_joint + np.log(self.tables_[name][:, chosen].sum(axis=1))
        return np.exp(log_joint - log_sum_exp(log_joint))

    def condition(self, **given):
        """Return the mixture of codes given attributes: the same Gaussians, weighed anew.

        Parameters
        ----------
        **given : level, or collection of levels
            As in `component_probabilities`; attributes left out are summed out.

        Returns
        -------
        Mixture
            Over codes, weighed by `component_probabilities`.
        """
        weights, gaussians = self.component_probabilities(**given), self.gaussians_.mixture()
        return Mixture(weights, gaussians.means, gaussians.covariances)

    def sample(self, n_samples, rng=None, **given):
        """Draw codes and attributes: a component by its weight, then all the rest from it.

        Parameters
        ----------
        n_samples : int >= 1
            Number of samples N.
        rng : numpy Generator, int or None
            Source of randomness.
        **given : level, or collection of levels
            What is asked, as in `component_probabilities`.

        Returns
        -------
        codes : array (N, D)
        attributes : dict of str to int array (N,)
            Numbers of levels.
        """
        n_samples, rng = as_count(n_samples, "n_samples"), as_rng(rng)
        codes, labels = self.condition(**given).sample(n_samples, rng)
        asked, attributes = as_asked(given, self.levels_), {}
        for name, table in self.tables_.items():
            chosen = np.array(asked.get(name, range(table.shape[1])))
            edges = np.cumsum(table[:, chosen], axis=1)[labels]
            ticket = rng.uniform(size=n_samples) * edges[:, -1]
            attributes[name] = chosen[(edges[:, :-1] <= ticket[:, None]).sum(axis=1)]
        return codes, attributes
