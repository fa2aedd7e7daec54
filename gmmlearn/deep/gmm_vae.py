"""A VAE whose prior is a mixture, learned with the networks: pictures in groups (chapter 12)."""

import math
from typing import NamedTuple

import torch
from torch import nn

from gmmlearn._validation import as_count, as_positive, as_responsibilities
from gmmlearn.deep.autoencoder import VAE, require_pixels, to_codes
from gmmlearn.deep.elbo import gaussian_log_prob, reparameterise
from gmmlearn.deep.prior import LOG_2PI, MixturePrior
from gmmlearn.deep.training import train
from gmmlearn.estimator import GaussianMixture

_BLOCK = 2048
"""Pictures in one pass outside training."""


class MixtureTerms(NamedTuple):
    """The three terms of the bound, nats for each picture (eq. gmm-vae-terms)."""

    reconstruction_log_prob: torch.Tensor
    """log p(x given z), shape (B,)."""
    latent_kl: torch.Tensor
    """Of the code, within its components: sum_k r_k (log q(z given x) - log N(z; k)), (B,)."""
    component_kl: torch.Tensor
    """Of the component: KL(r || pi) >= 0, shape (B,)."""

    @property
    def kl(self):
        """log q(z given x) - log p(z), the sum of both (B,)."""
        return self.latent_kl + self.component_kl

    @property
    def elbo(self):
        """The bound (B,)."""
        return self.reconstruction_log_prob - self.kl


def mixture_terms(model, x, rng=None):
    """Return the bound's terms with a mixture prior, one draw of each code (eq. gmm-vae-terms).

    Given the code, the component's posterior is known exactly: its responsibilities. So nothing is
    lost, and `kl` equals what `autoencoder.elbo_terms` has for any prior.

    Parameters
    ----------
    model : VAE
        With a `MixturePrior`.
    x : tensor (B, C, side, side)
        Pixels in [-1, 1].
    rng : torch.Generator or None
        Source of the noise, on the model's device.

    Returns
    -------
    MixtureTerms
        Nats; right on average, and `latent_kl` of a single draw may be negative.
    """
    prior = _prior(model)
    z_mean, z_log_var = model.encode(x)
    z = reparameterise(z_mean, z_log_var, rng)
    component_log_prob = prior.component_log_prob(z)
    log_joint = component_log_prob + prior.log_weights
    log_prob = log_joint.logsumexp(dim=1, keepdim=True)
    resp = (log_joint - log_prob).exp()
    # log r - log pi, written so that a weight of zero makes no infinity less infinity.
    component_kl = (resp * (component_log_prob - log_prob)).sum(dim=1)
    within = (resp * component_log_prob).sum(dim=1)
    return MixtureTerms(
        gaussian_log_prob(x, model.decode(z), model.pixel_log_var),
        gaussian_log_prob(z, z_mean, z_log_var) - within,
        component_kl,
    )


def component_divergences(prior, z_mean, z_log_var):
    """Return KL(q(z | x) || N(mu_k, Sigma_k)) for each code and component, in closed form.

    Parameters
    ----------
    prior : MixturePrior
    z_mean, z_log_var : tensor (B, d)
        What an encoder says: q(z | x) = N(z_mean, diag(exp(z_log_var))).

    Returns
    -------
    tensor (B, K)
        Nats, at least 0.
    """
    factors = prior.covariances_cholesky
    identity = torch.eye(prior.latent_dim, dtype=factors.dtype, device=factors.device)
    inverses = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
    precision_diagonals = inverses.square().sum(dim=1)  # of L'^-1 L^-1, (K, d)
    trace = z_log_var.exp() @ precision_diagonals.T
    entropy = 0.5 * (z_log_var + LOG_2PI + 1.0).sum(dim=1, keepdim=True)
    return 0.5 * trace - prior.component_log_prob(z_mean) - entropy


def assign(model, pixels):
    """Return how likely each picture belongs to each component.

    It is the best q(component | x) that does not look at the code that was drawn: proportional to
    pi_k exp(-KL(q(z | x) || N(mu_k, Sigma_k))) (eq. gmm-vae-assign).

    Parameters
    ----------
    model : VAE
        With a `MixturePrior`.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].

    Returns
    -------
    array (N, K)
        Float64; each row sums to one.
    """
    prior, parts = _prior(model), []
    with torch.no_grad():
        for x in require_pixels(pixels, "pixels").split(_BLOCK):
            divergences = component_divergences(prior, *model.encode(x.to(prior.means.device)))
            parts.append((prior.log_weights - divergences).double().softmax(dim=1).cpu())
    return torch.cat(parts).numpy()


class ComponentUse(NamedTuple):
    """How much of a mixture a set of pictures uses."""

    in_use: float
    """exp of the information, in nats, that the component has about the picture: from 1 to K."""
    n_alive: int
    """Components with more than a fifth of an equal share."""


def component_use(resp):
    """Measure collapse: how many components do different work (eq. gmm-vae-use)?

    A component that died has no share of the pictures. Components that merged have shares, but each
    picture is divided between them: it does not say which is which. The information that component
    and picture have about each other, the entropy of the mean responsibilities less the mean of
    their entropies, counts neither.

    Parameters
    ----------
    resp : array-like (N, K)
        Responsibilities; each row sums to one.

    Returns
    -------
    ComponentUse

    Examples
    --------
    >>> import numpy as np
    >>> component_use(np.eye(4)).in_use  # each has its own
    4.0
    >>> component_use(np.full((4, 4), 0.25)).in_use  # all are the same
    1.0
    """
    resp = torch.as_tensor(as_responsibilities(resp, len(resp)))
    shares = resp.mean(dim=0)
    information = torch.special.entr(shares).sum() - torch.special.entr(resp).sum(dim=1).mean()
    return ComponentUse(
        round(math.exp(max(information.item(), 0.0)), 12),
        int((shares > 1.0 / (5 * len(shares))).sum()),
    )


def start_prior(model, pixels, n_components, random_state=0, **settings):
    """Give a trained VAE a mixture prior: EM on its codes.

    Parameters
    ----------
    model : VAE
        With any prior, which is replaced.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    n_components : int
        Number of components K.
    random_state : int
        Source of EM's starts.
    **settings
        Other arguments of `GaussianMixture`; by default three starts, and a prior of one imaginary
        picture on each covariance.

    Returns
    -------
    GaussianMixture
        Fitted to the encoder's means.
    """
    codes = to_codes(model, pixels)
    settings = {"n_init": 3, "prior_strength": 1.0, "random_state": random_state} | settings
    fitted = GaussianMixture(n_components, **settings).fit(codes)
    model.prior = MixturePrior.from_mixture(fitted).to(model.pixel_log_var.device)
    return fitted


class WarmUp(nn.Module):
    """A weight that climbs from near 0 to 1 in equal steps, and stays there.

    Parameters
    ----------
    n_steps : int >= 0
        Steps until it is 1; with 0 it always is.

    Notes
    -----
    How many steps are done is a buffer: a run that goes on from a checkpoint knows.
    """

    def __init__(self, n_steps):
        super().__init__()
        self.n_steps = as_count(n_steps, "n_steps", at_least=0)
        self.register_buffer("n_done", torch.zeros(()))

    def forward(self):
        """Return the next weight, a tensor ()."""
        self.n_done += 1
        return (self.n_done / max(self.n_steps, 1)).clamp(max=1.0)


def make_step(model, optimizer, warm_up=None):
    """Return one step of training, for `training.train`.

    Parameters
    ----------
    model : VAE
        With a `MixturePrior`.
    optimizer : torch Optimizer
        Of any of the model's parameters; the others stay as they are.
    warm_up : WarmUp, optional
        Weight of the divergence in the loss.

    Returns
    -------
    function (batch, rng) -> dict of str to tensor ()
        It returns "elbo" and its three terms, mean nats per picture.
    """
    weight = WarmUp(0) if warm_up is None else warm_up

    def step(batch, rng):
        terms = mixture_terms(model, batch, rng)
        loss = (weight() * terms.kl - terms.reconstruction_log_prob).mean()
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        report = terms._asdict() | {"elbo": terms.elbo}
        return {name: value.detach().mean() for name, value in report.items()}

    return step


def fit_gmm_vae(model, pixels, n_steps=2000, batch_size=100, learning_rate=2e-3, warm_up=0, **loop):
    """Train networks and mixture together by raising the bound (eq. gmm-vae-bound), with Adam.

    Parameters
    ----------
    model : VAE
        With a `MixturePrior`, from `start_prior` or new; trained in place. What does not require
        gradients stays: ``model.prior.requires_grad_(False)`` keeps the mixture.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1], as from `as_pixels`.
    n_steps, batch_size : int
        Steps, and pictures in each.
    learning_rate : float > 0
        Its start; it falls to zero along a cosine.
    warm_up : int >= 0
        Steps in which the weight of the divergence climbs to one.
    **loop
        `seed`, `device`, `progress`, `checkpoint` and the rest of `training.train`.

    Returns
    -------
    Trained
        `history` has "elbo", "reconstruction_log_prob", "latent_kl", "component_kl".

    Raises
    ------
    ValueError
        If the prior is no mixture, an argument is malformed, or networks, pictures and prior do not
        fit.

    References
    ----------
    jiang2017variational; falck2021multifacet.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    mixture_terms(model, pixels[:2].to(model.pixel_log_var.device))
    as_count(batch_size, "batch_size", at_least=2)
    n_steps = as_count(n_steps, "n_steps")
    learning_rate = as_positive(learning_rate, "learning_rate")
    weight = WarmUp(as_count(warm_up, "warm_up", at_least=0))
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=learning_rate)
    return train(
        make_step(model, optimizer, weight),
        pixels,
        modules={"model": model, "warm_up": weight},
        optimizers={"model": optimizer},
        schedulers={"model": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)},
        n_steps=n_steps,
        batch_size=batch_size,
        **loop,
    )


def _prior(model):
    """Return the mixture of a VAE, or say what it has instead."""
    prior = model.prior if isinstance(model, VAE) else None
    if not isinstance(prior, MixturePrior):
        raise ValueError(
            f"model must be a VAE with a MixturePrior, but is {type(model).__name__} with "
            f"{type(prior).__name__}. Pass prior=MixturePrior(n_components, latent_dim), or use "
            "start_prior(model, pixels, n_components)."
        )
    return prior
