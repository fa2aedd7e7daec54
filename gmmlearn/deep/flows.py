"""Normalising flows: zuko builds them; here they are fitted, and given a base (chapter 13).

A flow carries a point x to z = f(x) by an invertible map f, and its density is that of z under a
base, a standard normal or a mixture, times the volume factor of f.
"""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch.distributions import Distribution, Transform, constraints
from zuko.distributions import DiagNormal
from zuko.lazy import (
    Flow,
    LazyComposedTransform,
    LazyDistribution,
    LazyTransform,
    UnconditionalDistribution,
)

from gmmlearn._validation import as_count, as_points, as_positive
from gmmlearn.deep.training import seeded, train
from gmmlearn.gaussian import Gaussian

LARGEST_GRADIENT = 5.0
"""Longer gradients are shortened to this: one point far out must not throw a flow away."""


class FlowFit(NamedTuple):
    """What `fit_flow` returns; the flow itself is changed in place."""

    loss: np.ndarray
    """Mean negative log density of the batch at each step (n_steps,), in nats."""
    steps: np.ndarray
    """Steps after which the validation data were asked (C,)."""
    validation: np.ndarray
    """Mean log density of the validation data then (C,), in nats."""
    best_step: int
    """The step whose weights were kept."""
    seconds: float
    """How long it took."""


def fit_flow(
    flow,
    X,
    X_validation,
    n_steps=2000,
    batch_size=256,
    learning_rate=3e-3,
    check_every=50,
    seed=0,
    device="auto",
    progress=None,
):
    """Maximise the mean log density of `X`, and keep the weights that validation likes best.

    Adam, a cosine from `learning_rate` to zero, and gradients of limited length.

    Parameters
    ----------
    flow : zuko Flow
        Changed in place.
    X : array-like (N, D)
        Points to fit.
    X_validation : array-like (M, D)
        Points that decide which step's weights are kept, the start among them (early stopping).
    n_steps : int >= 1
        Steps of the optimiser.
    batch_size : int >= 2
        Points in each step, at most N.
    learning_rate : float > 0
        At the first step.
    check_every : int >= 1
        Steps between looks at the validation points.
    seed : int
        Chooses the batches.
    device : str
        As in `training.train`.
    progress : bool, optional
        As in `training.train`.

    Returns
    -------
    FlowFit
        Losses, validation curve, and the step that was kept.

    Raises
    ------
    ValueError
        If the flow has nothing to learn, or a point has another number of features.
    Diverged
        If the loss is no longer finite.
    """
    X = as_points(X, _n_features(flow))
    watch = _Watch(flow, as_points(X_validation, X.shape[1], "X_validation"))
    n_steps, check_every = as_count(n_steps, "n_steps"), as_count(check_every, "check_every")
    learned = [parameter for parameter in flow.parameters() if parameter.requires_grad]
    if not learned:
        raise ValueError("flow has nothing to learn. Pass one with networks: zuko.flows.NSF, say.")
    optimizer = torch.optim.Adam(learned, as_positive(learning_rate, "learning_rate"))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)

    def step(batch, rng):
        loss = -flow().log_prob(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, LARGEST_GRADIENT)
        optimizer.step()
        watch.n_done += 1
        if watch.n_done % check_every == 0 or watch.n_done == n_steps:
            watch.look()
        return {"loss": loss.detach()}

    watch.look()
    trained = train(
        step,
        X,
        modules={"flow": flow},
        optimizers={"flow": optimizer},
        schedulers={"flow": schedule},
        n_steps=n_steps,
        batch_size=batch_size,
        seed=seed,
        device=device,
        progress=progress,
    )
    flow.load_state_dict(watch.best)
    loss, (steps, validation) = trained.history["loss"], np.transpose(watch.looks)
    return FlowFit(loss, steps.astype(int), validation, watch.best_step, trained.seconds)


class _Watch:
    """Looks at the validation points now and then, and keeps the best weights."""

    def __init__(self, flow, X):
        self.flow, self.X, self.n_done = flow, X, 0
        self.looks, self.best, self.best_step, self.most = [], None, 0, -np.inf

    def look(self):
        """Note the mean log density, and copy the weights if it is the highest so far."""
        nats = float(log_prob(self.flow, self.X).mean())
        self.looks.append((self.n_done, nats))
        if self.best is None or nats > self.most:
            self.best = copy.deepcopy(self.flow.state_dict())
            self.best_step, self.most = self.n_done, nats


def log_prob(flow, X, block=10_000):
    """Return log p(x) for each row of `X`, without gradients (eq. flow-density).

    Parameters
    ----------
    flow : zuko Flow
    X : array-like (N, D)
        Points.
    block : int >= 1
        Rows in memory at a time.

    Returns
    -------
    array (N,)
        Log densities in nats.
    """
    X = as_points(X, _n_features(flow))
    with torch.no_grad():
        parts = torch.as_tensor(X).to(_like(flow)).split(as_count(block, "block"))
        nats = torch.cat([flow().log_prob(part) for part in parts])
    return nats.double().cpu().numpy()


def draw(flow, n_samples, seed=0):
    """Draw points: base samples, carried back by the inverse map.

    Parameters
    ----------
    flow : zuko Flow
    n_samples : int >= 1
        Number of points N.
    seed : int
        Source of randomness; torch's own state is left as it was.

    Returns
    -------
    array (N, D)
        Points.
    """
    n_samples = as_count(n_samples, "n_samples")
    with torch.no_grad(), seeded(seed):
        return flow().sample((n_samples,)).double().cpu().numpy()


def carry(flow, X, inverse=False):
    """Map points x to z = f(x), or back.

    Parameters
    ----------
    flow : zuko Flow
    X : array-like (N, D)
        Points x; with `inverse`, points z of the base.
    inverse : bool
        Whether to go from z to x.

    Returns
    -------
    array (N, D)
        Their images.
    """
    X = torch.as_tensor(as_points(X, _n_features(flow))).to(_like(flow))
    transform = flow.transform()
    with torch.no_grad():
        return (transform.inv(X) if inverse else transform(X)).double().cpu().numpy()


class Whitening(LazyTransform):
    """The map z = L^-1 (x - mu) of chapter 1, as the first step of a flow (eq. gaussian-whitening).

    Parameters
    ----------
    gaussian : Gaussian
        Its mean and Cholesky factor are kept, and not trained.
    """

    def __init__(self, gaussian):
        super().__init__()
        if not isinstance(gaussian, Gaussian):
            raise ValueError(
                f"gaussian must be a Gaussian, not {type(gaussian).__name__}. "
                "Fit one: Gaussian.fit(X)."
            )
        dtype = torch.get_default_dtype()
        self.register_buffer("mean", torch.tensor(gaussian.mean, dtype=dtype))
        factor = torch.tensor(gaussian.covariance_cholesky, dtype=dtype)
        self.register_buffer("covariance_cholesky", factor)

    def forward(self, c=None):
        """Return the map; there is no context to depend on."""
        return _WhiteningMap(self.mean, self.covariance_cholesky)


class _WhiteningMap(Transform):
    """x to L^-1 (x - mu); the log volume factor is - sum_i log L_ii."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, mean, factor):
        super().__init__()
        self.mean, self.factor = mean, factor

    def _call(self, x):
        """Return z."""
        centred = (x - self.mean)[..., None]
        return torch.linalg.solve_triangular(self.factor, centred, upper=False)[..., 0]

    def _inverse(self, y):
        """Return x."""
        return self.mean + y @ self.factor.T

    def log_abs_det_jacobian(self, x, y):
        """Return the log volume factor, the same at each point."""
        return -self.factor.diagonal().log().sum().expand(x.shape[:-1])


def gaussian_flow(gaussian):
    """Return chapter 1's Gaussian as a flow: whitening, then a standard normal.

    Parameters
    ----------
    gaussian : Gaussian

    Returns
    -------
    zuko Flow
        With the same density.
    """
    n_features = gaussian.n_features
    base = UnconditionalDistribution(
        DiagNormal, torch.zeros(n_features), torch.ones(n_features), buffer=True
    )
    return Flow([Whitening(gaussian)], base)


def whitened(flow, gaussian):
    """Return a flow that whitens x first, and then does what `flow` does.

    Parameters
    ----------
    flow : zuko Flow
        Its networks are shared, not copied.
    gaussian : Gaussian
        Fitted to the training points.

    Returns
    -------
    zuko Flow
        Spline flows need it: they leave points beyond [-5, 5] as they are (durkan2019neural).
    """
    _check_features(flow, gaussian.n_features, "gaussian")
    return Flow([Whitening(gaussian), *_steps(flow)], flow.base)


def flow_with_mixture_base(flow, prior):
    """Return a flow with the same map and a mixture as its base (eq. flow-mixture-base).

    Parameters
    ----------
    flow : zuko Flow
        Its networks are shared, not copied.
    prior : MixturePrior
        The new base. Trained with the map if its parameters are trainable.

    Returns
    -------
    zuko Flow
    """
    _check_features(flow, prior.latent_dim, "prior")
    return Flow(flow.transform, _Base(prior))


class _Base(LazyDistribution):
    """A mixture prior where zuko expects a lazy distribution."""

    def __init__(self, prior):
        super().__init__()
        self.prior = prior

    def forward(self, c=None):
        """Return the distribution."""
        return _BaseDistribution(self.prior)


class _BaseDistribution(Distribution):
    """Density and samples of a mixture prior, as torch's distributions give them."""

    def __init__(self, prior):
        super().__init__(event_shape=torch.Size([prior.latent_dim]), validate_args=False)
        self.prior = prior

    def log_prob(self, value):
        """Return log densities in nats."""
        return self.prior.log_prob(value)

    def sample(self, sample_shape=()):
        """Return points, from torch's own stream."""
        shape = torch.Size(sample_shape)
        return self.prior.sample(shape.numel()).reshape(*shape, self.prior.latent_dim)


def start_at_identity(flow):
    """Set the last layer of each of the flow's networks to zero, so that f(x) = x at the start.

    Parameters
    ----------
    flow : zuko Flow
        Affine or spline transforms, masked or coupled; changed in place.

    Returns
    -------
    zuko Flow
        The same object: with a mixture as base, it starts as that mixture.
    """
    with torch.no_grad():
        for step in _steps(flow):
            if hasattr(step, "hyper"):
                step.hyper[-1].weight.zero_()
                step.hyper[-1].bias.zero_()
    return flow


def _steps(flow):
    """Return the lazy transforms of a flow, in the order from x to z."""
    chain = flow.transform
    return list(chain.transforms) if isinstance(chain, LazyComposedTransform) else [chain]


def _n_features(flow):
    """Return D, or complain that it is no flow."""
    if not isinstance(flow, Flow):
        raise ValueError(
            f"flow must be a zuko Flow, not {type(flow).__name__}. Make one: "
            "zuko.flows.NSF(features=2)."
        )
    return flow().event_shape[0]


def _check_features(flow, n_features, name):
    """Raise ValueError if the flow is of another number of features."""
    if _n_features(flow) != n_features:
        raise ValueError(
            f"{name} has {n_features} features, but the flow has {_n_features(flow)}. Make both "
            "for the same points."
        )


def _like(flow):
    """Return one of the flow's tensors, whose type and device its inputs must have."""
    return next(t for t in flow.state_dict().values() if t.is_floating_point())
