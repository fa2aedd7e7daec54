"""A mixture of codes whose components know words and the day: what a generator is asked with."""

import copy

import numpy as np
import torch

from gmmlearn._validation import as_count, as_positive
from gmmlearn.attributes import as_asked
from gmmlearn.deep.prior import MixturePrior
from gmmlearn.mixture import Mixture
from gmmlearn.painter import RADIUS, circle
from gmmlearn.scenes.labels import as_codes


class JointPrior(MixturePrior):
    """A prior of codes with, in each component, tables of attributes and the day's place.

    As a prior it is the mixture of codes alone: whatever trains with it sees no words. What
    chapter 9's joint mixture knows besides is kept beside it, as tensors: p(level | component) of
    each attribute, and the place of the day on its circle given component and code. `given` asks.

    Parameters
    ----------
    n_components : int >= 1
        Number of components K.
    latent_dim : int >= 1
        Numbers d of a code.
    levels : dict of str to sequence
        Levels of each attribute.

    Attributes
    ----------
    tables : dict of str to tensor (K, L)
        Probability of each level in each component (eq. joint-m-step-tables).
    day_means : tensor (K, 2)
        Means of the day's place.
    day_rows : tensor (K, 2, d + 2)
        The last rows of the Cholesky factors of code and place together; the first d rows are
        those of the codes alone.
    day_radius : tensor ()
        Of the day's circle, in units of codes.

    Examples
    --------
    >>> prior = JointPrior(2, 3, {"season": ("winter", "summer")})
    >>> prior.tables["season"][:] = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    >>> prior.component_probabilities(season="winter")
    tensor([0.7500, 0.2500])
    """

    def __init__(self, n_components, latent_dim, levels):
        super().__init__(n_components, latent_dim)
        self.levels = {name: tuple(names) for name, names in levels.items()}
        K, d = self.n_components, self.latent_dim
        for name, names in self.levels.items():
            n_levels = as_count(len(names), f"number of levels of {name}")
            self.register_buffer(f"table_{name}", torch.full((K, n_levels), 1.0 / n_levels))
        self.register_buffer("day_means", torch.zeros(K, 2))
        self.register_buffer("day_rows", torch.eye(d + 2)[d:].repeat(K, 1, 1))
        self.register_buffer("day_radius", torch.tensor(1.0))

    @classmethod
    def from_joint(cls, joint, day_radius):
        """Return the prior of a joint mixture, fixed.

        Parameters
        ----------
        joint : JointMixture
            Fitted to codes and, behind them, the day's place on a circle.
        day_radius : float > 0
            Of that circle.

        Returns
        -------
        JointPrior
        """
        day_radius = as_positive(day_radius, "day_radius")
        whole = joint.gaussians_.mixture()
        d = whole.n_features - 2
        if d < 1:
            raise ValueError(
                f"joint has {whole.n_features} features, expected codes and the day's place, two "
                "numbers, behind them. See `deep.scene_gan.join_codes`."
            )
        prior = cls(whole.n_components, d, joint.levels_)
        codes = MixturePrior.from_mixture(whole.marginal(list(range(d))), trainable=False)
        known = {f"table_{name}": table for name, table in joint.tables_.items()}
        known["day_means"] = whole.means[:, d:]
        # The factor of the first d features is the first d rows of the whole factor.
        known["day_rows"] = whole.covariances_cholesky[:, d:]
        known["day_radius"] = day_radius
        values = {name: torch.tensor(value) for name, value in known.items()}
        prior.load_state_dict(codes.state_dict() | values)
        return prior.requires_grad_(False)

    @property
    def tables(self):
        """Probability of each level in each component, by attribute."""
        return {name: getattr(self, f"table_{name}") for name in self.levels}

    def component_probabilities(self, **asked):
        """Return p(component | attributes) (eq. joint-condition).

        Parameters
        ----------
        **asked : level, or collection of levels
            Such as ``season="spring"`` or ``n_trees=(1, 2)``.

        Returns
        -------
        tensor (K,)

        Raises
        ------
        ValueError
            If an attribute or a level is unknown; the message lists those that are known.
        """
        return self._log_asked(asked).softmax(dim=0).detach()

    @torch.no_grad()
    def given(self, day=None, **asked):
        """Return the prior of codes given attributes and, if asked, the day.

        Parameters
        ----------
        day : float, optional
            Day of the year in [0, 365).
        **asked : level, or collection of levels
            As in `component_probabilities`.

        Returns
        -------
        MixturePrior
            Fixed. Without a day the same Gaussians, weighed anew, to be asked for more; with
            one, each moved along its regression on the day's place (eq. mixture-conditional).
        """
        log_joint = self._log_asked(asked)
        if day is None:
            again = copy.deepcopy(self).requires_grad_(False)
            again.logits.copy_(log_joint)
            return again
        weights = log_joint.double().softmax(dim=0).cpu().numpy()
        codes, d = self.to_mixture(), self.latent_dim
        place = circle([as_codes(day, "day")])[0] * (self.day_radius.item() / RADIUS)
        factors = np.zeros((self.n_components, d + 2, d + 2))
        factors[:, :d, :d] = codes.covariances_cholesky
        factors[:, d:] = self.day_rows.double().cpu().numpy()
        means = np.hstack([codes.means, self.day_means.double().cpu().numpy()])
        whole = Mixture(weights, means, factors @ factors.transpose(0, 2, 1))
        return self._again(whole.condition([d, d + 1], place))

    def _log_asked(self, asked):
        """Return log p(component, attributes) (K,)."""
        log_joint = self.log_weights
        for name, chosen in as_asked(asked, self.levels).items():
            log_joint = log_joint + self.tables[name][:, chosen].sum(dim=1).log()
        return log_joint
