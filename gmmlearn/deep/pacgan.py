"""The networks that PacGAN published for the ring and the grid (lin2018pacgan)."""

from torch import nn

from gmmlearn._validation import as_count

WIDTH, N_PIECES, WEIGHT_STD = 400, 5, 0.02
"""As in the authors' code: generator's width (the discriminator has half), pieces, start."""


class Maxout(nn.Module):
    """The largest of several affine maps, for each output.

    Parameters
    ----------
    in_features, out_features : int >= 1
        Sizes of input and output.
    n_pieces : int >= 1
        Affine maps for each output.
    """

    def __init__(self, in_features, out_features, n_pieces=N_PIECES):
        super().__init__()
        self.n_pieces = as_count(n_pieces, "n_pieces")
        self.affine = nn.Linear(in_features, out_features * self.n_pieces)

    def forward(self, x):
        """Map x.

        Parameters
        ----------
        x : tensor (B, in_features)

        Returns
        -------
        tensor (B, out_features)
        """
        # The pieces first: whole rows are compared, not five neighbours at a time.
        return self.affine(x).unflatten(1, (self.n_pieces, -1)).amax(dim=1)


def pacgan_generator(latent_dim=2, n_features=2, width=WIDTH):
    """Build the published generator: four hidden layers, batch normalisation, rectifiers.

    Parameters
    ----------
    latent_dim, n_features : int >= 1
        Sizes of input and output.
    width : int >= 1
        Units of a hidden layer.

    Returns
    -------
    torch module
        (B, latent_dim) to (B, n_features).

    References
    ----------
    lin2018pacgan.
    """
    layers, n_in = [], as_count(latent_dim, "latent_dim")
    for _ in range(4):
        # Their batch normalisation moves its running means by 5 % and adds 1e-4 to variances.
        norm = nn.BatchNorm1d(width, eps=1e-4, momentum=0.05)
        layers += [nn.Linear(n_in, width, bias=False), norm, nn.ReLU()]
        n_in = width
    return _started(nn.Sequential(*layers, nn.Linear(n_in, as_count(n_features, "n_features"))))


def pacgan_discriminator(packing=1, n_features=2, width=WIDTH // 2):
    """Build the published discriminator: three maxout layers, then one logit.

    Parameters
    ----------
    packing : int >= 1
        Samples that it sees at once.
    n_features : int >= 1
        Features of each.
    width : int >= 1
        Units of a hidden layer, each the largest of five affine maps.

    Returns
    -------
    torch module
        (B, packing * n_features) to (B,).

    References
    ----------
    lin2018pacgan.
    """
    n_in = as_count(packing, "packing") * as_count(n_features, "n_features")
    layers = [Maxout(n_in, width), Maxout(width, width), Maxout(width, width)]
    return _started(nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0)))


def _started(network):
    """Set each affine map's weights to small normal numbers and its offsets to zero, in place."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=WEIGHT_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
