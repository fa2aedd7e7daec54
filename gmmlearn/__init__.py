"""Gaussian mixtures, from one bell curve to images: the package behind *From Mixtures to Images*.

Everything is imported at first use (PEP 562), so ``import gmmlearn`` costs next to nothing and
never imports torch or scikit-learn.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULE_OF = {
    "Gaussian": "gaussian",
    "GaussianMixture": "estimator",
    "Mixture": "mixture",
    "fit_em": "em",
    "check": "exercises",
    "select_n_components": "selection",
}
_MODULES = (
    "codes",
    "conditional",
    "damage",
    "datasets",
    "em",
    "estimator",
    "ensemble",
    "exercises",
    "gaussian",
    "inpainting",
    "metrics",
    "mixture",
    "painter",
    "patches",
    "plots",
    "potts",
    "recorded",
    "restoration",
    "scale_mixture",
    "scenes",
    "selection",
    "shapes",
    "texture",
    "words",
)

__all__ = sorted([*_MODULE_OF, *_MODULES])


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
