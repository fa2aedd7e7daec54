"""A VAE whose maps are linear: its evidence, its bound and the gap are formulas (chapter 11)."""

import math

import torch
from torch import nn

from gmmlearn._validation import as_count, as_numbers, as_points, as_positive
from gmmlearn.deep.elbo import ElboTerms, gaussian_kl
from gmmlearn.gaussian import LOG_2PI


class LinearVAE(nn.Module):
    """z from N(0, I), and x given z from N(W z + m, variance I): probabilistic PCA.

    Parameters
    ----------
    loadings : array-like (D, d)
        W, what each code adds to each feature.
    offset : array-like (D,)
        m, the mean of x.
    noise_variance : float > 0
        Variance of each feature around W z + m.

    Notes
    -----
    Everything is float64 and can be differentiated; `loadings`, `offset` and `log_noise_variance`
    are parameters that an optimiser may change. tipping1999probabilistic has the model,
    lucas2019dont what its bound does.

    Raises
    ------
    ValueError
        If an argument is malformed.

    References
    ----------
    tipping1999probabilistic; lucas2019dont.

    Examples
    --------
    >>> model = LinearVAE([[3.0], [4.0]], [0.0, 0.0], noise_variance=1.0)
    >>> mean, covariance = model.posterior([[3.0, 4.0]])
    >>> round(mean.item(), 4), round(covariance.item(), 4)
    (0.9615, 0.0385)
    """

    def __init__(self, loadings, offset, noise_variance):
        super().__init__()
        loadings = as_numbers(loadings, "loadings", 2, "(n_features, latent_dim)")
        offset = as_numbers(offset, "offset", 1, "(n_features,)")
        if len(offset) != len(loadings):
            raise ValueError(
                f"offset has {len(offset)} numbers, but loadings has {len(loadings)} rows. "
                "Pass one of each for every feature."
            )
        log_variance = math.log(as_positive(noise_variance, "noise_variance"))
        self.loadings = nn.Parameter(torch.tensor(loadings))
        self.offset = nn.Parameter(torch.tensor(offset))
        self.log_noise_variance = nn.Parameter(torch.tensor(log_variance, dtype=torch.float64))

    @classmethod
    def fit(cls, X, latent_dim):
        """Return the model of greatest evidence, in closed form.

        Parameters
        ----------
        X : array-like (N, D)
            Points.
        latent_dim : int >= 1
            d, below D.

        Returns
        -------
        LinearVAE
            Its loadings are orthogonal: principal axes, the strongest first.

        Raises
        ------
        ValueError
            If no direction is left for the noise.

        References
        ----------
        tipping1999probabilistic.
        """
        X = torch.tensor(as_points(X))
        latent_dim, n_features = as_count(latent_dim, "latent_dim"), X.shape[1]
        centred = X - X.mean(dim=0)
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(X))
        variances, axes = variances.flip(0).clamp(min=0.0), axes.flip(1)
        rest = variances[latent_dim:]
        if latent_dim >= n_features or rest.mean() <= 1e-12 * variances[0]:
            raise ValueError(
                f"latent_dim is {latent_dim}, but X has {n_features} features and no spread left "
                "for the noise. Use a smaller latent_dim."
            )
        scales = (variances[:latent_dim] - rest.mean()).clamp(min=0.0).sqrt()
        return cls(axes[:, :latent_dim] * scales, X.mean(dim=0), float(rest.mean()))

    @property
    def latent_dim(self):
        """Number of codes d."""
        return self.loadings.shape[1]

    @property
    def noise_variance(self):
        """Variance of each feature around W z + m."""
        return self.log_noise_variance.exp()

    def precision(self):
        """Return the precision of z given x, the same for every x (eq. linear-vae-posterior).

        Returns
        -------
        tensor (d, d)
            I + W' W / variance.
        """
        identity = torch.eye(self.latent_dim, dtype=self.loadings.dtype)
        return identity + self.loadings.T @ self.loadings / self.noise_variance

    def posterior(self, x):
        """Return the exact distribution of z given x (eq. linear-vae-posterior).

        Parameters
        ----------
        x : array-like or tensor (B, D)

        Returns
        -------
        (tensor (B, d), tensor (d, d))
            Mean, and the covariance that all points share.
        """
        covariance = torch.linalg.inv(self.precision())
        pull = (self._points(x) - self.offset) @ self.loadings / self.noise_variance
        return pull @ covariance, covariance

    def log_prob(self, x):
        """Return the exact evidence log p(x), from N(m, W W' + variance I).

        Parameters
        ----------
        x : array-like or tensor (B, D)

        Returns
        -------
        tensor (B,)
            Nats.
        """
        centred = self._points(x) - self.offset
        mean, _ = self.posterior(x)
        # Both by the d x d precision, as for a factor analyser: no D x D matrix.
        distance = (centred * (centred - mean @ self.loadings.T)).sum(dim=1) / self.noise_variance
        log_det = centred.shape[1] * self.log_noise_variance + torch.logdet(self.precision())
        return -0.5 * (distance + log_det + centred.shape[1] * LOG_2PI)

    def best_encoder(self, x):
        """Return the Gaussian of independent codes that leaves the smallest gap.

        Parameters
        ----------
        x : array-like or tensor (B, D)

        Returns
        -------
        (tensor (B, d), tensor (B, d))
            `z_mean`, the posterior's; and `z_log_var`, minus the log of the precision's diagonal,
            which is less than the posterior's own variance wherever codes are correlated.
        """
        mean, _ = self.posterior(x)
        return mean, (-torch.diagonal(self.precision()).log()).expand_as(mean)

    def elbo_terms(self, x, z_mean, z_log_var):
        """Return both terms of the bound, their expectations exact.

        Parameters
        ----------
        x : array-like or tensor (B, D)
        z_mean, z_log_var : tensor (B, d)
            The encoder's Gaussian for each point.

        Returns
        -------
        ElboTerms
            Nats.
        """
        residual = self._points(x) - self.offset - z_mean @ self.loadings.T
        spread = z_log_var.exp() @ self.loadings.square().sum(dim=0)
        expected = (residual.square().sum(dim=1) + spread) / self.noise_variance
        constant = residual.shape[1] * (LOG_2PI + self.log_noise_variance)
        return ElboTerms(-0.5 * (expected + constant), gaussian_kl(z_mean, z_log_var))

    def gap(self):
        """Return how far the best bound stays below the evidence (eq. linear-vae-gap).

        Returns
        -------
        tensor ()
            Nats, the same for every x: the divergence of `best_encoder`'s Gaussian from the
            posterior; zero if and only if the columns of the loadings are orthogonal.
        """
        precision = self.precision()
        return 0.5 * (torch.diagonal(precision).log().sum() - torch.logdet(precision))

    def _points(self, x):
        """Return x as a float64 tensor (B, D) without cutting it off from its gradient."""
        n_features = len(self.offset)
        if isinstance(x, torch.Tensor):
            if x.ndim != 2 or x.shape[1] != n_features:
                raise ValueError(
                    f"x has shape {tuple(x.shape)}, expected (n_samples, {n_features})."
                )
            return x.to(self.loadings)
        return torch.tensor(as_points(x, n_features, name="x"))
