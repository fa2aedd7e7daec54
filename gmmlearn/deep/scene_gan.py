"""Scenes from words: codes that can be read, their joint prior, a walk through a year."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gmmlearn._validation import as_count, as_nonnegative, as_positive
from gmmlearn.attributes import as_attributes, one_hot
from gmmlearn.conditional import JointMixture
from gmmlearn.deep.autoencoder import require_pixels
from gmmlearn.deep.gmm_gan import GMMGAN, fit_gmm_gan
from gmmlearn.deep.joint_prior import JointPrior
from gmmlearn.deep.pixels import as_images
from gmmlearn.deep.prior import as_generator
from gmmlearn.deep.steering import keep_component
from gmmlearn.deep.training import seeded, train
from gmmlearn.painter import ATTRIBUTES, LEVELS, RADIUS, circle
from gmmlearn.scenes.labels import YEAR

_ANCHORS = 12
"""Days of the year at which codes are drawn; between them a walk goes straight."""


def fit_reading_autoencoder(
    model,
    pixels,
    attributes,
    n_steps=2000,
    batch_size=64,
    learning_rate=2e-3,
    strength=10.0,
    code_penalty=0.05,
    seed=0,
    **loop,
):
    """Train an autoencoder by its squared error, and its codes to tell the attributes.

    A linear reader guesses the attributes from the code, and its cross-entropy joins the loss. So
    pictures of different seasons get codes in different places, and a component that is all winter
    does not share its place with autumn. The reader is thrown away.

    Parameters
    ----------
    model : Autoencoder
        Trained in place.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    attributes : dict of str to int array (N,)
        Number of the level of each picture.
    n_steps, batch_size : int
        Steps, and pictures in each.
    learning_rate : float > 0
        Adam's at its start; it falls to zero along a cosine.
    strength : float >= 0
        What the reader's cross-entropy (nats, summed over attributes) is multiplied with.
    code_penalty : float >= 0
        As in `fit_autoencoder`.
    seed : int
        Of the reader's weights, the batches and the noise.
    **loop
        For `gmmlearn.deep.training.train`: device, progress, checkpoint, ...

    Returns
    -------
    Trained
        `history` has "squared_error", as in `fit_autoencoder`, and "cross_entropy".

    Raises
    ------
    ValueError
        If an argument is malformed.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    n_steps, strength = as_count(n_steps, "n_steps"), as_nonnegative(strength, "strength")
    code_penalty = as_nonnegative(code_penalty, "code_penalty")
    read = as_attributes(attributes, len(pixels))
    if not read:
        raise ValueError("attributes is empty. Name one, such as season, or use fit_autoencoder.")
    levels = torch.as_tensor(np.stack(list(read.values()), axis=1))
    if levels.min() < 0:
        raise ValueError("attributes contain -1, but each must be known. Leave those pictures out.")
    sizes = (levels.max(dim=0).values + 1).tolist()
    with torch.no_grad():
        latent_dim = model.encode(pixels[:1].to(next(model.parameters()).device)).shape[1]
    with seeded(seed):
        reader = nn.Linear(latent_dim, sum(sizes))
    modules = {"model": model, "reader": reader}
    rate = as_positive(learning_rate, "learning_rate")
    adam = torch.optim.Adam([*model.parameters(), *reader.parameters()], lr=rate)

    def step(batch, rng):
        x, wanted = batch
        z = model.encode(x)
        error = (model.decode(z) - x).square().flatten(1).sum(dim=1).mean()
        logits = reader(z).split(sizes, dim=1)
        unread = sum(functional.cross_entropy(row, wanted[:, j]) for j, row in enumerate(logits))
        length = z.square().sum(dim=1).mean()
        loss = 0.5 * (error + code_penalty * length) + strength * unread
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return {"squared_error": error.detach(), "cross_entropy": unread.detach()}

    return train(
        step,
        (pixels, levels),
        modules=modules,
        optimizers={"adam": adam},
        schedulers={"adam": torch.optim.lr_scheduler.CosineAnnealingLR(adam, n_steps)},
        n_steps=n_steps,
        batch_size=batch_size,
        seed=seed,
        **loop,
    )


class ToldDiscriminator(nn.Module):
    """A discriminator that is told what a picture is said to show.

    Its logit has a part for the picture and a part for each level that is said to be there: it can
    call a fine picture of summer a bad picture of spring (mirza2014conditional).

    Parameters
    ----------
    network : nn.Module
        Pixels to 1 + L numbers, L levels of all attributes.
    shape : (int, int, int)
        Of a picture.
    """

    def __init__(self, network, shape):
        super().__init__()
        self.network, self.shape = network, tuple(shape)

    def forward(self, told):
        """Return logits.

        Parameters
        ----------
        told : tensor (B, C side side + L)
            Flattened pictures and, behind them, the share of each level that is said to be there.

        Returns
        -------
        tensor (B,)
        """
        n_pixels = math.prod(self.shape)
        numbers = self.network(told[:, :n_pixels].unflatten(1, self.shape))
        # Cut off, so that a penalty on slopes sees the picture alone.
        said = told[:, n_pixels:].detach()
        return numbers[:, 0] + (numbers[:, 1:] * said).sum(dim=1)


class _Announcer(nn.Module):
    """A generator that says, behind each flattened picture, what its component shows."""

    def __init__(self, generator, prior):
        super().__init__()
        self.generator = generator
        # A list, so that the prior's parameters are not among those that the game trains.
        self._prior = [prior]

    def forward(self, z):
        """Return flattened pictures of latent points z (B, d), and shares of levels, joined."""
        prior = self._prior[0]
        tables = torch.cat(list(prior.tables.values()), dim=1)
        return torch.cat([self.generator(z).flatten(1), prior.responsibilities(z) @ tables], dim=1)


def fit_told_gmm_gan(model, discriminator, pixels, attributes, n_steps, keep=0.4, **game):
    """Let a generator with a joint prior play against a discriminator that knows the words.

    Parameters
    ----------
    model : GMMGAN
        With a `JointPrior` and an encoder; its generator is trained in place, its own discriminator
        is not asked.
    discriminator : ToldDiscriminator
        Trained in place.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    attributes : dict of str to int array (N,)
        Number of the level of each picture, for the attributes of the prior, in its order.
    n_steps : int >= 1
        Turns.
    keep : float >= 0
        Strength of `steering.keep_component`.
    **game
        Arguments of `gmm_gan.fit_gmm_gan`.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If the attributes are not those of the prior.

    References
    ----------
    mirza2014conditional.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    levels = model.prior.levels
    if list(attributes) != list(levels):
        raise ValueError(
            f"attributes has {list(attributes)}, but the prior knows {list(levels)}. Name these, "
            "in this order."
        )
    said = one_hot(as_attributes(attributes, len(pixels)), levels, len(pixels))
    told = torch.cat([pixels.flatten(1), torch.as_tensor(said, dtype=pixels.dtype)], dim=1)
    kept, n_pixels = keep_component(model.encoder, model.prior, keep), pixels[0].numel()

    def term(z, labels, fake):
        return kept(z, labels, fake[:, :n_pixels].unflatten(1, pixels.shape[1:]))

    teller = _Announcer(model.generator, model.prior)
    players = GMMGAN(teller, discriminator, model.prior)
    return fit_gmm_gan(players, told, n_steps, terms=[term] if keep else [], **game)


def fit_joint_prior(codes, labels, n_components=64, reg_share=0.01, seed=0, **settings):
    """Fit a joint mixture of codes, days and attributes, and make it a prior.

    Parameters
    ----------
    codes : array (N, d)
        Codes of scenes.
    labels : scenes.Labels
        What the scenes show.
    n_components : int
        Number of components.
    reg_share : float > 0
        Variance added to the diagonal of each covariance, as a share of the codes' mean variance.
    seed : int
        Of the start.
    **settings
        Of `JointMixture`.

    Returns
    -------
    JointPrior
    """
    codes = np.asarray(codes, dtype=float)
    std = np.sqrt(codes.var(axis=0).mean())
    radius = 2.0 * std
    points = np.hstack([codes, circle(labels.day) * (radius / RADIUS)])
    settings = {
        "stratify": ("season", "time"),
        "concentration": 0.01,
        "reg_covar": as_positive(reg_share, "reg_share") * std**2,
        "prior_strength": float(codes.shape[1]),
    } | settings
    joint = JointMixture(n_components, levels=LEVELS, random_state=seed, **settings)
    joint.fit(points, {name: getattr(labels, name) for name in ATTRIBUTES})
    return JointPrior.from_joint(joint, radius)


def walk_through_year(model, n_frames=48, n_candidates=64, rng=None, **asked):
    """Draw one year as a film: codes of twelve days, as near each other as chance allows.

    For each of twelve days codes are drawn from the mixture given that day. Of all rings that take
    one code from each day the shortest is kept, and followed in straight lines.

    Parameters
    ----------
    model : GMMGAN
        With a `JointPrior`.
    n_frames : int >= 1
        Pictures, on equally spaced days from 1 January on; the last is followed by the first.
    n_candidates : int >= 1
        Codes that each day is chosen from.
    rng : torch Generator, int or None
        Source of randomness.
    **asked : level, or collection of levels
        What all frames show, such as ``time="day", weather="clear"``.

    Returns
    -------
    float32 array (n_frames, side, side, 3)
        Pictures in [-1, 1].
    """
    n_frames, n = as_count(n_frames, "n_frames"), as_count(n_candidates, "n_candidates")
    rng = as_generator(rng, model.prior.means.device)
    days = np.arange(_ANCHORS) * YEAR / _ANCHORS
    drawn = torch.stack([model.prior.given(day, **asked).sample(n, rng=rng) for day in days])
    chosen = drawn[torch.arange(_ANCHORS), shortest_ring(drawn)]
    place = torch.arange(n_frames) * (_ANCHORS / n_frames)
    before = place.long()
    ends = chosen[before], chosen[(before + 1) % _ANCHORS]
    codes = torch.lerp(*ends, (place - before)[:, None].to(chosen))
    return as_images(model.generate(codes)).astype(np.float32)


def shortest_ring(points):
    """Choose one point of each set so that the ring through them is shortest in squared length.

    Parameters
    ----------
    points : tensor (S, n, d)
        S sets of n points, in the order of the ring.

    Returns
    -------
    tensor (S,)
        Index of the point chosen in each set.
    """
    first = len(points) - 1
    lengths = [torch.cdist(points[i], points[(i + 1) % len(points)]) ** 2 for i in range(first + 1)]
    # best[i, j]: the shortest way from point i of the first set to point j of the present one.
    best, steps = torch.full_like(lengths[0], torch.inf), []
    best.fill_diagonal_(0.0)
    for length in lengths:
        best, came_from = (best[:, :, None] + length).min(dim=1)
        steps.append(came_from)
    start = int(best.diagonal().argmin())
    ring = [start]
    for came_from in reversed(steps):
        ring.append(int(came_from[start, ring[-1]]))
    return torch.tensor(ring[:0:-1])
