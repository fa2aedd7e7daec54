"""Climb the likelihood: M-step, one iteration of EM that keeps its digits, and the loop."""

from time import perf_counter
from typing import NamedTuple

import numpy as np

from gmmlearn.covariance import EPS, Parameters, SingularCovariance
from gmmlearn.statistics import Posterior, lossy, sweep


class Climb(NamedTuple):
    """Where `climb` arrived."""

    params: Parameters
    """After the last M-step, in the frame."""
    lower_bounds: list
    """The bound before each M-step, mean nats per sample in the frame."""
    converged: bool


def maximise(table, sums, centres, previous, reg_covar):
    """Return weights, means and covariances for given sums (eq. em-m-step-weights to -covariances).

    Parameters
    ----------
    table : Table
    sums : Sums
    centres : array (K, D)
        The points that the sums were taken about.
    previous : Parameters
        What a component without any sample keeps.
    reg_covar : array (D,)
        Variance added to each diagonal.

    Returns
    -------
    weights (K,), means (K, D), covariances
    """
    counts = sums.counts + 10 * EPS
    offsets = sums.first / counts[:, None]
    covariances = table.structure.centred_moments(sums.second, counts, offsets)
    covariances = table.structure.add_diagonal(covariances, reg_covar)
    means = centres + offsets
    empty = sums.counts < 10 * EPS
    if empty.any():
        means = np.where(empty[:, None], previous.means, means)
        if not table.structure.shared:
            covariances[empty] = previous.covariances[empty]
    return counts / counts.sum(), means, covariances


def step(table, posterior, previous, reg_covar):
    """Make one E-step and one M-step; make them again about the new means if digits were lost.

    Parameters
    ----------
    table : Table
    posterior : Posterior, or a start with its `respond`
    previous : Parameters
        Those of `posterior`.
    reg_covar : array (D,)
        Variance added to each diagonal.

    Returns
    -------
    posterior : Posterior
        Of the new parameters.
    sums : Sums
        What they were made from; its log_prob belongs to the old ones.

    Raises
    ------
    SingularCovariance
        If a component has no spread in some direction.
    """
    structure, exact = table.structure, posterior.exact
    centres = _only(previous.means, exact)
    for last in (False, True):
        sums = sweep(table, posterior, centres, exact)
        weights, means, covariances = maximise(table, sums, centres, previous, reg_covar)
        try:
            new = Parameters(weights, means, covariances, structure.factor(covariances))
            risk = structure.amplification(np.abs(means - centres), new.precisions_cholesky)
            more = lossy(structure, risk)
        except SingularCovariance:
            if last:
                raise
            more = np.arange(len(means))
        if last or not len(more):
            return Posterior(structure, new), sums
        exact = np.union1d(exact, more)
        centres = _only(means, exact)


def _only(means, exact):
    """Return `means` with zeros for the components that are not in `exact`."""
    centres = np.zeros_like(means)
    centres[exact] = means[exact]
    return centres


def climb(table, posterior, bound, max_iter, tol, reg_covar, progress):
    """Repeat `step` until the bound changes by less than `tol` (algorithm em-algorithm).

    Parameters
    ----------
    table : Table
    posterior : Posterior
        Of the parameters to begin with.
    bound : float
        An earlier bound to compare the first one with; minus infinity if there is none.
    max_iter : int >= 1
        Largest number of iterations.
    tol : float >= 0
        Nats per sample.
    reg_covar : array (D,)
        Variance added to each diagonal, in the frame.
    progress : Progress
        Told of each iteration.

    Returns
    -------
    Climb
    """
    lower_bounds, converged = [], False
    while not converged and len(lower_bounds) < max_iter:
        posterior, sums = step(table, posterior, posterior.params, reg_covar)
        lower_bounds.append(sums.log_prob / table.total_weight)
        change, bound = lower_bounds[-1] - bound, lower_bounds[-1]
        progress.iteration(len(lower_bounds), change, bound)
        converged = abs(change) < tol
    progress.end(bound, converged)
    return Climb(posterior.params, lower_bounds, converged)


class Progress:
    """Say how a fit goes: scikit-learn's lines, or a bar if tqdm is there and `verbose` is 1."""

    def __init__(self, verbose, interval, shift, max_iter):
        self.verbose, self.interval, self.shift = int(verbose), interval, shift
        self.max_iter, self.bar = max_iter, None
        self.began = self.last = perf_counter()

    def start(self, number):
        """Announce initialization `number`."""
        self.began = self.last = perf_counter()
        if self.verbose == 1:
            self.bar = _bar(f"Initialization {number}", self.max_iter)
        if self.verbose and self.bar is None:
            print(f"Initialization {number}")

    def iteration(self, number, change, bound):
        """Report iteration `number`."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"bound {bound + self.shift:.5f}", refresh=False)
            self.bar.update()
        elif self.verbose and number % self.interval == 0:
            now = perf_counter()
            detail = f"\t time lapse {now - self.last:.5f}s\t ll change {change:.5f}"
            print(f"  Iteration {number}" + (detail if self.verbose > 1 else ""))
            self.last = now

    def end(self, bound, converged):
        """Report the end of an initialization."""
        if self.bar is not None:
            self.bar.close()
        elif self.verbose:
            taken = perf_counter() - self.began
            detail = f" time lapse {taken:.5f}s\t lower bound {bound + self.shift:.5f}."
            how = "converged" if converged else "did not converge"
            print(f"Initialization {how}." + (detail if self.verbose > 1 else ""))


def _bar(description, total):
    """Return a tqdm bar that shows itself after two seconds, or None without tqdm."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=description, unit="iteration", delay=2, leave=False)
