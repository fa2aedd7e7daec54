"""A mixture of Gaussians as a torch module: its parameters learn by gradient (chapter 12)."""

import math
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gmmlearn._validation import as_count
from gmmlearn.estimator import GaussianMixture
from gmmlearn.mixture import Mixture, as_mixture

LOG_2PI = math.log(2.0 * math.pi)


class Draw(NamedTuple):
    """What `MixturePrior.rsample` returns."""

    z: torch.Tensor
    """Points (B, d), with gradients for the means and the Cholesky factors."""
    labels: torch.Tensor
    """The component of each point, int (B,)."""
    weight: torch.Tensor
    """Ones (B,), whose gradient is that of log pi of the point's component: the score term."""


def as_generator(rng, device):
    """Return a torch Generator on `device` from a Generator, an integer seed, or None.

    Parameters
    ----------
    rng : torch Generator, int or None
        None: torch's own stream, which `torch.manual_seed` began.
    device : torch.device
        Where the random numbers are wanted.

    Returns
    -------
    torch Generator or None
        None stands for torch's own stream.
    """
    if rng is None or isinstance(rng, torch.Generator):
        return rng
    return torch.Generator(device).manual_seed(as_count(rng, "rng", at_least=0))


def as_latent(z, latent_dim, like):
    """Return `z` if it is a tensor (B, latent_dim) of the type of `like`, else raise ValueError."""
    if not isinstance(z, torch.Tensor) or z.ndim != 2 or z.shape[1] != latent_dim:
        shape = tuple(z.shape) if isinstance(z, torch.Tensor) else type(z).__name__
        raise ValueError(
            f"z is {shape}, but the prior has latent_dim = {latent_dim}: pass a tensor of shape "
            f"(batch_size, {latent_dim}), or make a prior of that latent_dim."
        )
    if z.dtype in (torch.bfloat16, torch.float16):
        z = z.to(like.dtype)  # from a network in a step with bf16: a density keeps its digits
    if z.dtype != like.dtype:
        raise ValueError(f"z has {z.dtype}, the prior {like.dtype}. Use prior.to(z.dtype).")
    return z


class StandardNormal(nn.Module):
    """The prior N(0, I).

    Parameters
    ----------
    latent_dim : int >= 1
        Number of features d.
    """

    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim = as_count(latent_dim, "latent_dim")
        self.register_buffer("_like", torch.zeros(()), persistent=False)

    def log_prob(self, z):
        """Return log N(z; 0, I) of each row (eq. gaussian-log-density).

        Parameters
        ----------
        z : tensor (B, d)

        Returns
        -------
        tensor (B,)
            Nats.
        """
        z = as_latent(z, self.latent_dim, self._like)
        return -0.5 * (z.square().sum(dim=1) + self.latent_dim * LOG_2PI)

    def sample(self, n_samples, rng=None):
        """Draw points.

        Parameters
        ----------
        n_samples : int >= 1
            Number of points B.
        rng : torch Generator, int or None
            Source of randomness.

        Returns
        -------
        tensor (B, d)
        """
        return _noise((as_count(n_samples, "n_samples"), self.latent_dim), rng, self._like)


class MixturePrior(nn.Module):
    """A mixture of K Gaussians in d dimensions, with parameters that no step can make invalid.

    Parameters
    ----------
    n_components : int >= 1
        Number of components K.
    latent_dim : int >= 1
        Number of features d.

    Attributes
    ----------
    logits : parameter (K,)
        Weights are their softmax: positive, and of sum one.
    means : parameter (K, d)
        Means mu_k.
    log_diagonal : parameter (K, d)
        Logarithms of the diagonals of the Cholesky factors L_k. So a gradient step multiplies each
        scale by a factor, whatever its unit, and the log determinant is a sum of parameters.
    lower : parameter (K, d (d - 1) / 2)
        What stands below the diagonals, row by row.

    Notes
    -----
    A new prior has equal weights, standard normal means (from torch's own stream) and identity
    covariances. Each factor is stored as its d (d + 1) / 2 numbers that are not zero.

    Examples
    --------
    >>> two = Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> prior = MixturePrior.from_mixture(two)
    >>> prior.responsibilities(torch.zeros(1, 1)).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, n_components, latent_dim):
        super().__init__()
        self.n_components = as_count(n_components, "n_components")
        self.latent_dim = as_count(latent_dim, "latent_dim")
        K, d = self.n_components, self.latent_dim
        self.logits = nn.Parameter(torch.zeros(K))
        self.means = nn.Parameter(torch.randn(K, d))
        self.log_diagonal = nn.Parameter(torch.zeros(K, d))
        self.lower = nn.Parameter(torch.zeros(K, d * (d - 1) // 2))
        self.register_buffer("_below", torch.tril_indices(d, d, -1), persistent=False)

    # --------------------------------------------------------------------- to and from mixtures

    @classmethod
    def from_mixture(cls, mixture, trainable=True, dtype=None):
        """Return a prior with the parameters of a mixture.

        Parameters
        ----------
        mixture : Mixture or fitted GaussianMixture
            With any covariance structure.
        trainable : bool
            Whether the parameters ask for gradients.
        dtype : torch dtype, optional
            torch's default, float32, unless told otherwise; float64 loses nothing.

        Returns
        -------
        MixturePrior
            A weight of zero stays zero: its logit is minus infinity.
        """
        if isinstance(mixture, GaussianMixture):
            mixture = mixture.mixture()
        mixture = as_mixture(mixture)
        dtype = torch.get_default_dtype() if dtype is None else dtype
        with torch.random.fork_rng(devices=[]):  # the means drawn here are thrown away
            prior = cls(mixture.n_components, mixture.n_features).to(dtype)
        factors = mixture.covariances_cholesky
        rows, columns = prior._below.numpy()
        with np.errstate(divide="ignore"):
            values = {
                "logits": np.log(mixture.weights),
                "means": mixture.means,
                "log_diagonal": np.log(np.diagonal(factors, axis1=1, axis2=2)),
                "lower": factors[:, rows, columns],
            }
        prior.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
        return prior.requires_grad_(trainable)

    def to_mixture(self):
        """Return the parameters as a frozen `Mixture` in float64.

        Returns
        -------
        Mixture
        """
        # On the host first: not every device has float64.
        exact = deepcopy(self).requires_grad_(False).cpu().double()
        covariances = exact.covariances_cholesky @ exact.covariances_cholesky.mT
        return Mixture(exact.weights.numpy(), exact.means.numpy(), covariances.numpy())

    def to_estimator(self, **settings):
        """Return the parameters as a fitted `GaussianMixture` with full covariances.

        Parameters
        ----------
        **settings
            Other arguments of `GaussianMixture`; with ``warm_start=True``, its `fit` goes on from
            here by EM.

        Returns
        -------
        GaussianMixture
        """
        return GaussianMixture.from_mixture(self.to_mixture(), **settings)

    # --------------------------------------------------------------------------------- parameters

    @property
    def log_weights(self):
        """Logarithms of the mixing weights (K,)."""
        return self.logits.log_softmax(dim=0)

    @property
    def weights(self):
        """Mixing weights pi_k (K,)."""
        return self.logits.softmax(dim=0)

    @property
    def covariances_cholesky(self):
        """Lower triangular L_k with Sigma_k = L_k L_k' (K, d, d)."""
        factors = torch.diag_embed(self.log_diagonal.exp())
        rows, columns = self._below
        factors[:, rows, columns] = self.lower
        return factors

    def mean_and_covariance(self):
        """Return the moments of the whole mixture (eq. gmm-vae-moments).

        Returns
        -------
        mean : tensor (d,)
        covariance : tensor (d, d)
        """
        weights, factors = self.weights, self.covariances_cholesky
        mean = weights @ self.means
        offsets = self.means - mean
        spread = factors @ factors.mT + offsets[:, :, None] * offsets[:, None, :]
        return mean, torch.einsum("k,kij->ij", weights, spread)

    # ------------------------------------------------------------------------------------ density

    def component_log_prob(self, z):
        """Return log N(z; mu_k, Sigma_k) of each point and component (eq. gaussian-log-density).

        Parameters
        ----------
        z : tensor (B, d)

        Returns
        -------
        tensor (B, K)
            Nats.
        """
        z = as_latent(z, self.latent_dim, self.means)
        offsets = (z[None] - self.means[:, None]).mT  # (K, d, B)
        whitened = torch.linalg.solve_triangular(self.covariances_cholesky, offsets, upper=False)
        mahalanobis = whitened.square().sum(dim=1)
        constant = self.log_diagonal.sum(dim=1) + 0.5 * self.latent_dim * LOG_2PI
        return (-0.5 * mahalanobis - constant[:, None]).mT

    def log_joint(self, z):
        """Return log pi_k + log N(z; mu_k, Sigma_k) (eq. mixture-joint).

        Parameters
        ----------
        z : tensor (B, d)

        Returns
        -------
        tensor (B, K)
            Nats.
        """
        return self.component_log_prob(z) + self.log_weights

    def log_prob(self, z):
        """Return log p(z) of each row (eq. mixture-density).

        Parameters
        ----------
        z : tensor (B, d)

        Returns
        -------
        tensor (B,)
            Nats.
        """
        return self.log_joint(z).logsumexp(dim=1)

    def responsibilities(self, z):
        """Return p(component | z) (eq. mixture-responsibilities).

        Parameters
        ----------
        z : tensor (B, d)

        Returns
        -------
        tensor (B, K)
            Each row sums to one.
        """
        return self.log_joint(z).softmax(dim=1)

    def condition(self, features, values):
        """Return the prior of the other features, given these (eq. mixture-conditional).

        Parameters
        ----------
        features : list of int
            Indices of the G features that are known.
        values : array-like (G,)
            Their values, in the same order.

        Returns
        -------
        MixturePrior
            Over the remaining d - G features, in increasing order of index; a copy, without
            gradients to this one.
        """
        return self._again(self.to_mixture().condition(features, values))

    def marginal(self, features):
        """Return the prior of some features alone (eq. mixture-marginal).

        Parameters
        ----------
        features : list of int
            Indices of the features to keep, in the order wanted.

        Returns
        -------
        MixturePrior
            A copy, without gradients to this one.
        """
        return self._again(self.to_mixture().marginal(features))

    def _again(self, mixture):
        """Return a prior with the parameters of `mixture`, of the same kind as this one."""
        again = MixturePrior.from_mixture(mixture, trainable=False, dtype=self.means.dtype)
        return again.to(self.means.device)

    # ------------------------------------------------------------------------------------ samples

    @torch.no_grad()
    def sample(self, n_samples, rng=None, component=None):
        """Draw points: a component by its weight, then a point from it (eq. mixture-latent).

        Parameters
        ----------
        n_samples : int >= 1
            Number of points B.
        rng : torch Generator, int or None
            Source of randomness.
        component : int, optional
            Draw all points from this component.

        Returns
        -------
        tensor (B, d)
            Without gradients; `rsample` and `expectation` have them.
        """
        n_samples = as_count(n_samples, "n_samples")
        rng = as_generator(rng, self.means.device)
        if component is None:
            return self.rsample(n_samples, rng).z
        k = as_count(component, "component", at_least=0)
        if k >= self.n_components:
            raise ValueError(
                f"component is {k}, but the components are numbered 0..{self.n_components - 1}."
            )
        labels = torch.full((n_samples,), k, device=self.means.device)
        return self._place(labels, rng)

    def rsample(self, n_samples, rng=None):
        """Draw points that gradients pass through (eq. gmm-vae-score).

        A point moves with the mean and the factor of its component, but which component it comes
        from jumps: no point has a gradient for the weights. `weight` has: multiply by it whatever
        is averaged. It is one, and its gradient is the score term.

        Parameters
        ----------
        n_samples : int >= 1
            Number of points B.
        rng : torch Generator, int or None
            Source of randomness.

        Returns
        -------
        Draw
            z, labels, weight.

        Examples
        --------
        >>> _ = torch.manual_seed(0)
        >>> prior = MixturePrior(n_components=3, latent_dim=2)
        >>> draw = prior.rsample(100)
        >>> loss = (draw.weight * draw.z.square().sum(dim=1)).mean()
        >>> loss.backward()
        >>> bool(prior.logits.grad.any())
        True
        """
        n_samples = as_count(n_samples, "n_samples")
        rng = as_generator(rng, self.means.device)
        chances = self.weights.detach()
        labels = torch.multinomial(chances, n_samples, replacement=True, generator=rng)
        log_weight = self.log_weights[labels]
        return Draw(self._place(labels, rng), labels, (log_weight - log_weight.detach()).exp())

    def _place(self, labels, rng):
        """Return mu_k + L_k e with fresh standard normal e for each label k, shape (B, d)."""
        noise = _noise((len(labels), self.latent_dim), rng, self.means)
        moved = torch.einsum("bij,bj->bi", self.covariances_cholesky[labels], noise)
        return self.means[labels] + moved

    def expectation(self, function, n_samples, rng=None, how="score"):
        """Estimate E[f(z)], with an unbiased gradient for every parameter.

        Parameters
        ----------
        function : callable
            Maps points (B, d) to values (B,) or (B, ...), each row for itself.
        n_samples : int >= 1
            Number of points; for ``how="sum"``, from each component.
        rng : torch Generator, int or None
            Source of randomness.
        how : {"score", "sum"}
            "score": draw components, with a score term for the weights (eq. gmm-vae-score) about
            the mean of the other values, mostly less noisy. "sum": visit all components and
            weigh them (eq. gmm-vae-sum): K times the work, and no noise from the weights.

        Returns
        -------
        tensor () or (...)
            The mean of f.
        """
        n_samples = as_count(n_samples, "n_samples")
        rng = as_generator(rng, self.means.device)
        if how == "sum":
            every = torch.arange(self.n_components, device=self.means.device)
            values = function(self._place(every.repeat_interleave(n_samples), rng))
            each = values.reshape(self.n_components, n_samples, *values.shape[1:]).mean(dim=1)
            return torch.tensordot(self.weights, each, dims=1)
        if how != "score":
            raise ValueError(f"how is {how!r}. Use 'score' or 'sum'.")
        z, _, weight = self.rsample(n_samples, rng)
        values = function(z)
        fixed = values.detach()
        others = (fixed.sum(dim=0) - fixed) / max(n_samples - 1, 1)
        score = (weight - 1.0).reshape(-1, *[1] * (values.ndim - 1))
        return (values + score * (fixed - others)).mean(dim=0)


def _noise(shape, rng, like):
    """Return standard normal numbers of `shape`, of the type and on the device of `like`."""
    rng = as_generator(rng, like.device)
    return torch.randn(shape, generator=rng, dtype=like.dtype, device=like.device)
