"""A generator with a mixture inside: codes, EM on them, the decoder as a start, then the game."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gmmlearn import recorded
from gmmlearn._files import write_atomically
from gmmlearn._validation import as_count, as_nonnegative, as_points, as_positive
from gmmlearn.deep.autoencoder import Autoencoder, fit_autoencoder, require_pixels, to_codes
from gmmlearn.deep.joint_prior import JointPrior
from gmmlearn.deep.mixture_game import as_samples, fit_gmm_gan
from gmmlearn.deep.networks import MLP, ConvDecoder, ConvEncoder, apply_network, at_rest
from gmmlearn.deep.pixels import as_images
from gmmlearn.deep.prior import MixturePrior, as_generator
from gmmlearn.deep.training import Trained, seeded
from gmmlearn.estimator import GaussianMixture
from gmmlearn.painter import LEVELS
from gmmlearn.scenes import MAX_TREES
from gmmlearn.selection import Selection, select_n_components
from gmmlearn.words import parse

__all__ = [
    "GMMGAN",
    "Made",
    "Networks",
    "fit_gmm_gan",
    "load_gmm_gan",
    "make_gmm_gan",
    "make_networks",
    "mixture_of_codes",
]
_BLOCK = 2048
"""Pictures in one pass outside training."""
_SHAPES = {"digits": (1, 8, 8), "seasons": (3, 32, 32)}
"""The pictures of the recorded models."""


class GMMGAN(nn.Module):
    """A generator that draws its latent points from a mixture (eq. gmm-gan-model).

    The four parts are plain modules; replace any of them. `make_gmm_gan` goes from pixels to a
    trained model in one call, `GMMGAN.from_autoencoder` starts from an autoencoder and a mixture of
    its codes.

    Parameters
    ----------
    generator : nn.Module
        Latent points (B, d) to samples: pixels (B, C, side, side) in [-1, 1], or points (B, D).
    discriminator : nn.Module or None
        Samples to one logit each; None for a model that only draws.
    prior : MixturePrior
        Frozen if its parameters ask for no gradient; otherwise the game moves it too.
    encoder : nn.Module, optional
        Samples to codes (B, d). Stays as it is; needed by `encode` and by whatever looks at codes.

    Raises
    ------
    ValueError
        If the parts do not fit each other: the message says which.

    References
    ----------
    gurumurthy2017deligan; benyosef2018gaussian.
    """

    def __init__(self, generator, discriminator, prior, encoder=None):
        super().__init__()
        self.generator, self.discriminator, self.prior = generator, discriminator, prior
        self.encoder = encoder if encoder is None else encoder.requires_grad_(False)
        self._require_fit()

    @classmethod
    def from_autoencoder(cls, autoencoder, mixture, discriminator, trainable=False):
        """Return a model whose generator is a copy of the decoder.

        Parameters
        ----------
        autoencoder : Autoencoder
            Trained; copied.
        mixture : Mixture, fitted GaussianMixture, or MixturePrior
            Of its codes. A prior is used as it is; with a `JointPrior` the model can `draw`.
        discriminator : nn.Module
            Used as it is.
        trainable : bool
            Whether the game moves the mixture too.

        Returns
        -------
        GMMGAN
        """
        encoder, decoder = (copy.deepcopy(m) for m in (autoencoder.encoder, autoencoder.decoder))
        prior = mixture
        if not isinstance(mixture, MixturePrior):
            prior = MixturePrior.from_mixture(mixture, trainable=trainable)
        return cls(decoder, discriminator, prior, encoder)

    # ----------------------------------------------------------------------------------- drawing

    def sample(self, n_samples, component=None, rng=None):
        """Draw samples.

        Parameters
        ----------
        n_samples : int >= 1
            How many.
        component : int, optional
            Draw all from this component of the mixture.
        rng : torch Generator, int or None
            Source of randomness.

        Returns
        -------
        tensor (n_samples, ...)
            Pixels in [-1, 1] or points, on the processor.
        """
        rng = as_generator(rng, self._device)
        return self.generate(self.prior.sample(n_samples, rng=rng, component=component))

    def draw(self, text, n=16, rng=None, temperature=1.0):
        """Draw scenes that a text asks for (eq. joint-condition).

        Parameters
        ----------
        text : str
            Such as "a spring evening with two trees"; see `words.parse`.
        n : int >= 1
            Number of pictures.
        rng : torch Generator, int or None
            Source of randomness.
        temperature : float > 0
            What the components' covariances are multiplied with. Below one pictures are more
            typical of what was asked for, and less varied.

        Returns
        -------
        float32 array (n, side, side, 3)
            Pictures in [-1, 1].

        Raises
        ------
        ValueError
            If the text has words that are not known, or that contradict each other; or if the
            model's prior knows no attributes.
        """
        if not isinstance(self.prior, JointPrior):
            raise ValueError(
                "draw needs a prior that knows attributes, and this model's knows none. Use "
                'load_gmm_gan("seasons"), or build the model with a JointPrior; sample draws '
                "without words."
            )
        root = as_positive(temperature, "temperature") ** 0.5
        prior = self.prior.given(**parse(text))
        drawn = prior.rsample(n, as_generator(rng, self._device))
        z = torch.lerp(prior.means[drawn.labels], drawn.z, root)
        return as_images(self.generate(z)).astype(np.float32)

    def generate(self, z):
        """Return the samples of latent points.

        Parameters
        ----------
        z : tensor or array-like (N, d)

        Returns
        -------
        tensor (N, ...)
            On the processor, without gradients.
        """
        return _in_blocks(self.generator, self._as_latent(z, "z"))

    def encode(self, samples):
        """Return the codes of samples: the latent points that the generator once came from.

        Parameters
        ----------
        samples : tensor (N, ...)
            Pixels in [-1, 1], or points.

        Returns
        -------
        tensor (N, d)

        Raises
        ------
        ValueError
            If there is no encoder, or a pixel lies outside [-1, 1].
        """
        if self.encoder is None:
            raise ValueError("encoder is None. Pass one: GMMGAN(..., encoder=...).")
        return _in_blocks(self.encoder, as_samples(samples, "samples").to(self._device))

    def interpolate(self, a, b, n_steps=8):
        """Draw the samples along the straight line between two latent points.

        Parameters
        ----------
        a, b : tensor or array-like (d,)
            Ends, such as rows of `encode`.
        n_steps : int >= 2
            How many, both ends included.

        Returns
        -------
        tensor (n_steps, ...)
        """
        n_steps = as_count(n_steps, "n_steps", at_least=2)
        ends = [self._as_latent([end], name)[0] for end, name in ((a, "a"), (b, "b"))]
        place = torch.linspace(0.0, 1.0, n_steps, device=self._device)[:, None]
        return self.generate(torch.lerp(*ends, place))

    def log_prob(self, z):
        """Return the mixture's log density of latent points (eq. mixture-density).

        Parameters
        ----------
        z : tensor or array-like (N, d)

        Returns
        -------
        tensor (N,)
            Nats. It is a density of codes, not of pictures: the generator has none.
        """
        return _in_blocks(self.prior.log_prob, self._as_latent(z, "z"))

    # ------------------------------------------------------------------------------------- files

    def save(self, path):
        """Write all weights as a safetensors file, whole or not at all.

        Parameters
        ----------
        path : str or Path
        """
        from safetensors.torch import save

        weights = {name: value.cpu().contiguous() for name, value in self.state_dict().items()}
        write_atomically(path, save(weights))

    def load(self, weights):
        """Take weights that `save` wrote, into parts of the same shapes.

        Parameters
        ----------
        weights : str, Path, or dict of str to array
            A file, or what `recorded.load_weights` returns.

        Returns
        -------
        GMMGAN
            The model itself.

        Raises
        ------
        ValueError
            If the file is damaged, or belongs to a model with other networks or another mixture.
        """
        if not isinstance(weights, dict):
            weights = _read(weights)
        try:
            self.load_state_dict({k: torch.as_tensor(v) for k, v in weights.items()})
        except RuntimeError as error:
            raise ValueError(
                "weights do not fit this model. Build it with the networks and the number of "
                f"components that were saved ({error})."
            ) from None
        return self

    # ----------------------------------------------------------------------------------- private

    @property
    def _device(self):
        """Where the parameters are."""
        return next(self.generator.parameters()).device

    def _as_latent(self, z, name):
        """Return latent points as a float tensor (N, d) on the model's device."""
        if isinstance(z, list) and isinstance(z[0], torch.Tensor):
            z = torch.stack(z)
        if isinstance(z, torch.Tensor):
            z = z.detach().cpu().numpy()
        z = as_points(z, self.prior.latent_dim, name)
        return torch.as_tensor(z, dtype=self.prior.means.dtype, device=self._device)

    def _require_fit(self):
        """Try all parts on two latent points."""
        z, d = self.prior.sample(2, rng=0), self.prior.latent_dim
        with at_rest(self):
            hint = f"the prior's points have latent_dim {d}"
            fake = apply_network(self.generator, z, "generator", hint)
            hint = f"the generator's samples have shape {tuple(fake.shape[1:])}"
            for name, n_expected in (("discriminator", 1), ("encoder", d)):
                network = getattr(self, name)
                if network is None:
                    continue
                n_found = apply_network(network, fake, name, hint).numel() / 2
                if n_found != n_expected:
                    raise ValueError(
                        f"{name} gives {n_found:g} numbers for each sample, expected {n_expected}: "
                        "one logit from a discriminator, latent_dim numbers from an encoder."
                    )


def mixture_of_codes(
    autoencoder,
    pixels,
    candidates=(10, 20, 40),
    criterion="held-out",
    reg_share=0.01,
    seed=0,
    **settings,
):
    """Fit mixtures to an autoencoder's codes by EM, and choose the number of components.

    Parameters
    ----------
    autoencoder : Autoencoder
        Trained.
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    candidates : iterable of int
        Numbers of components to try.
    criterion : {"bic", "icl", "aic", "held-out"}
        See `gmmlearn.select_n_components`.
    reg_share : float >= 0
        Variance added to the diagonal of each covariance, as a share of the codes' mean variance.
    seed : int
        Of the starts.
    **settings
        Further arguments of `GaussianMixture`, such as ``covariance_type="tied"``.

    Returns
    -------
    Selection
        Its `estimator` is the mixture.
    """
    codes = to_codes(autoencoder, pixels)
    variance = as_nonnegative(reg_share, "reg_share") * codes.var(axis=0).mean()
    estimator = GaussianMixture(reg_covar=variance, random_state=seed, **settings)
    return select_n_components(codes, candidates, criterion, estimator=estimator, rng=seed)


class Made(NamedTuple):
    """What `make_gmm_gan` returns."""

    model: GMMGAN
    """Trained."""
    autoencoder: Autoencoder
    """Whose decoder the generator began as."""
    selection: Selection
    """The mixtures that were tried."""
    game: Trained
    """The adversarial steps."""


class Networks(NamedTuple):
    """What a GMM-GAN of pictures is made of, before any training."""

    encoder: nn.Module
    """Pixels to codes."""
    decoder: nn.Module
    """Codes to pixels in [-1, 1]; the generator begins as it."""
    discriminator: nn.Module
    """Pixels to a logit."""


def make_networks(shape, latent_dim, width=32, seed=0):
    """Return networks for pictures: perceptrons for 8 x 8 pixels, convolutions for larger ones.

    Parameters
    ----------
    shape : (int, int, int)
        Channels and sides of a picture.
    latent_dim : int >= 1
        Numbers of a code.
    width : int
        Channels after the first convolution of encoder and decoder. The discriminator, which each
        step asks four times, has half as many.
    seed : int
        Of the weights.

    Returns
    -------
    Networks
    """
    channels, side, _ = shape
    with seeded(seed):
        if side <= 8:
            autoencoder = MLP(shape, latent_dim), MLP(latent_dim, shape, squash=True)
            return Networks(*autoencoder, MLP(shape, 1, activation="leaky_relu"))
        return Networks(
            ConvEncoder(side, channels, latent_dim, width),
            ConvDecoder(latent_dim, side, channels, width, squash=True),
            ConvEncoder(side, channels, 1, max(1, width // 2), activation="leaky_relu"),
        )


def make_gmm_gan(
    pixels,
    latent_dim=16,
    *,
    n_steps=2500,
    networks=None,
    codes=None,
    mixture=None,
    seed=0,
    **game,
):
    """Go from pixels to a generator with a mixture inside: train, fit, copy, play.

    Parameters
    ----------
    pixels : tensor (N, C, side, side)
        Pictures in [-1, 1].
    latent_dim : int >= 1
        Numbers of a code.
    n_steps : int >= 1
        Steps of the game.
    networks : Networks, optional
        Trained in place; by default `make_networks` of the pictures' size.
    codes : dict, optional
        Arguments of `fit_autoencoder`.
    mixture : dict, optional
        Arguments of `mixture_of_codes`.
    seed : int
        Of all stages.
    **game
        Arguments of `fit_gmm_gan`.

    Returns
    -------
    Made
        model, autoencoder, selection, game.
    """
    pixels = require_pixels(pixels, "pixels", at_least=2)
    latent_dim, shape = as_count(latent_dim, "latent_dim"), tuple(pixels.shape[1:])
    if networks is None:
        networks = make_networks(shape, latent_dim, seed=seed)
    autoencoder = Autoencoder(networks.encoder, networks.decoder)
    fit_autoencoder(autoencoder, pixels, **{"seed": seed} | (codes or {}))
    selection = mixture_of_codes(autoencoder, pixels, **{"seed": seed} | (mixture or {}))
    model = GMMGAN.from_autoencoder(autoencoder, selection.estimator, networks.discriminator)
    trained = fit_gmm_gan(model, pixels, n_steps, **{"seed": seed} | game)
    return Made(model, autoencoder, selection, trained)


def load_gmm_gan(name="digits"):
    """Load a trained model; how it was trained and how good it is stands in its record.

    Parameters
    ----------
    name : {"digits", "seasons"}
        What it draws. ``recorded.load("gmm_gan")`` and ``recorded.load("gmm_gan_seasons")`` have
        their cards.

    Returns
    -------
    GMMGAN
        In evaluation mode.
    """
    if name not in _SHAPES:
        raise ValueError(f"name is {name!r}. Use one of: {', '.join(_SHAPES)}.")
    weights, shape = recorded.load_weights(f"gmm_gan_{name}"), _SHAPES[name]
    n_components, latent_dim = weights["prior.means"].shape
    encoder, decoder, discriminator = make_networks(shape, latent_dim)  # to be overwritten
    prior = MixturePrior(n_components, latent_dim)
    if name == "seasons":
        prior = JointPrior(n_components, latent_dim, LEVELS | {"n_trees": range(MAX_TREES + 1)})
        discriminator = None  # it was told the words, and is left out
    model = GMMGAN(decoder, discriminator, prior.requires_grad_(False), encoder)
    return model.load(weights).eval()


@torch.no_grad()
def _in_blocks(function, X):
    """Return function(X) on the processor, block by block."""
    return torch.cat([function(part).cpu() for part in X.split(_BLOCK)])


def _read(path):
    """Return the tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}).") from None
