"""Learn from a stream of batches: stepwise EM with averaged statistics.

Each batch t moves the running moments by a share that falls like one over the root of the weight
seen so far; these steps are long enough to climb in a few passes, and noisy. The mixture that is
shown is made from the average of the moments after all steps, later ones counting more, in which
the noise cancels (cappe2009online, section 2.4).
"""

from typing import NamedTuple

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from gmmlearn.ascent import Climb, Moments, blend, maximise, moments, recover, step
from gmmlearn.covariance import Parameters
from gmmlearn.intake import rows, tabulate
from gmmlearn.starts import given_parameters, settings_of
from gmmlearn.statistics import Posterior, sweep
from gmmlearn.table import Frame, Table

STEP_DECAY = 0.5
"""Power of the share. Smaller climbs faster, and with few rows in a batch never settles."""
AVERAGE_POWER = 3
"""The average weighs the moments after a step with the cube of the weight seen until then."""


class Running(NamedTuple):
    """What `partial_fit` remembers between batches, in one frame."""

    frame: Frame
    settings: NamedTuple
    found: Moments
    """After the last step; counts sum to one."""
    params: Parameters
    """Those that `found` calls for: they make the next batch's responsibilities."""
    average: Moments
    """Of the moments after all steps: what is shown."""
    weight: float
    """Total weight of all rows so far."""


def follow(table, running):
    """Make one step of stepwise EM (cappe2009online); return the new Running and the Sums.

    A batch that is the share s of all weight so far enters the moments with share sqrt(s), and the
    moments enter the average with share 1 - (1 - s) ** 4.
    """
    structure = table.structure
    posterior = Posterior(structure, running.params, table.centred, table.eps)
    centres = table.centres(running.params.means, posterior.exact)
    sums = sweep(table, posterior, centres, posterior.exact)
    new = moments(structure, sums, centres, running.params)
    new = new._replace(counts=new.counts / table.total_weight)
    weight = running.weight + table.total_weight
    share, before = table.total_weight / weight, running.params
    lasting = 1.0 - (1.0 - share) ** (AVERAGE_POWER + 1)
    factors = before.precisions_cholesky
    found = blend(
        structure, _seen(structure, running.found, factors), new, share**STEP_DECAY, factors
    )
    average = blend(structure, _seen(structure, running.average, factors), found, lasting, factors)
    params = _called_for(structure, found, before, weight, running.settings)
    found, average = (
        one._replace(covariances=structure.improve(one.covariances, before))
        for one in (found, average)
    )
    running = running._replace(found=found, average=average, weight=weight)
    return running._replace(params=params), sums


def _seen(structure, found, factors):
    """Return Moments whose covariances are seen as those of a batch are."""
    return found._replace(covariances=structure.seen(found.covariances, factors))


def _called_for(structure, found, previous, weight, settings):
    """Return the Parameters that Moments of points of so much weight call for."""
    whole = found._replace(counts=found.counts * weight)
    return maximise(structure, whole, previous, settings)


def shown(structure, running):
    """Return the Parameters that the average calls for."""
    previous = running.params
    found = _seen(structure, running.average, previous.precisions_cholesky)
    return _called_for(structure, found, previous, running.weight, running.settings)


class Streaming:
    """`partial_fit` of `GaussianMixture`."""

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from one more batch of a stream, by one step of stepwise EM.

        A batch that is the share s of all weight so far, its own included, moves the running
        statistics by sqrt(s): batch t of equal ones by 1 / sqrt(t). The parameters are those of the
        statistics' average over all steps, which weighs each with the cube of the weight seen until
        then. The first batch is fitted as by one iteration of `fit`, so it should show every
        component; after `fit`, the stream goes on from what was fitted, with the weight of the rows
        that it was fitted to. T equal batches, in several passes over data in random order or
        in one, climb as far as sqrt(T) to 2 sqrt(T) iterations of `fit`.

        Parameters
        ----------
        X : array-like (N, D)
            Points; NaN is missing. The first batch needs at least one row for each component.
        y : ignored
        sample_weight : array-like (N,), optional
            Weight of each row.

        Returns
        -------
        self
            `n_iter_` counts batches after the iterations of `fit`; `lower_bounds_` are those of
            each batch before its step.

        Raises
        ------
        ValueError
            If an argument is malformed, or `n_components` or `covariance_type` differ from what
            was fitted before: set them back, or call `fit`.

        References
        ----------
        cappe2009online; liang2009online.
        """
        known = hasattr(self, "converged_")
        if known:
            self._refuse_change("partial_fit", "Set them back, or call fit.")
        X, weight = rows(self, X, sample_weight, reset=not known)
        if not known:
            running, table, bounds = self._first_batch(X, weight)
        else:
            running = getattr(self, "_running", None) or self._after_fit()
            table = tabulate(X, self._structure, self.n_components, weight, running.frame)
            with table.workers():
                running, sums = follow(table, running)
            bounds = [*self.lower_bounds_, sums.log_prob / table.total_weight + table.shift]
        self._keep(table, Climb(shown(self._structure, running), [], False))
        self._running, self._weight_seen = running, running.weight
        self.n_iter_, self.lower_bounds_, self.lower_bound_ = len(bounds), bounds, bounds[-1]
        return self

    def _first_batch(self, X, weight):
        """Return the Running after one iteration of EM on a first batch, its table and bounds."""
        structure = self._structure
        table = tabulate(X, structure, self.n_components, weight)
        given = given_parameters(self, X.shape[1])
        settings = settings_of(self, table, given, False)
        with table.workers():
            rng = check_random_state(self.random_state)
            start = self._start(table.on_host(rng), table, given, settings, rng)
            after, sums = step(table, start, start.params, settings)
        found = recover(structure, after.params, table.total_weight, settings)
        bounds = [sums.log_prob / table.total_weight + table.shift]
        weight = table.total_weight
        running = Running(table.frame, settings, found, after.params, found, weight)
        return running, table, bounds

    def _after_fit(self):
        """Return the Running that goes on from a fit, as if its rows had been a first batch."""
        structure, params = self._structure, self._params_in()
        frame = Frame.of_parameters(params, structure)
        params = frame.enter(params, structure)
        variance = structure.variances(params.covariances)
        variance = params.weights @ (variance + np.square(params.means))
        table = Table(self.means_, structure, self.n_components, frame=frame)
        table.variance = np.broadcast_to(variance, table.n_features)
        given = given_parameters(self, table.n_features)
        settings = settings_of(self, table, given, True)
        found = recover(structure, params, self._weight_seen, settings)
        return Running(frame, settings, found, params, found, self._weight_seen)
