"""The light of a scene: where the sun or moon stands, and what colours sky and land take."""

from typing import NamedTuple

import numpy as np

from gmmlearn.scenes._canvas import between, mix

TIMES = ("morning", "day", "evening", "night")
WEATHERS = ("clear", "cloudy", "rain", "snow")
MORNING, DAY, EVENING, NIGHT = range(4)
CLEAR, CLOUDY, RAIN, SNOW = range(4)

# Two extremes of each for every time of day; a picture's own lie between them.
_ZENITH = (
    ((0.47, 0.64, 0.86), (0.66, 0.72, 0.90)),
    ((0.16, 0.42, 0.84), (0.40, 0.66, 0.95)),
    ((0.26, 0.22, 0.46), (0.46, 0.33, 0.52)),
    ((0.03, 0.04, 0.13), (0.08, 0.09, 0.25)),
)
_HORIZON = (
    ((1.00, 0.88, 0.70), (0.99, 0.80, 0.82)),
    ((0.70, 0.86, 0.97), (0.88, 0.94, 0.97)),
    ((1.00, 0.62, 0.28), (0.90, 0.38, 0.34)),
    ((0.12, 0.17, 0.35), (0.24, 0.24, 0.44)),
)
_GLOW = ((1.0, 0.95, 0.78), (1.0, 1.0, 0.95), (1.0, 0.70, 0.30), (0.45, 0.52, 0.70))
_LAND = (
    ((0.92, 0.86, 0.84), (1.02, 0.92, 0.78)),
    ((0.95, 0.97, 0.98), (1.08, 1.05, 0.97)),
    ((0.88, 0.66, 0.56), (1.00, 0.74, 0.50)),
    ((0.33, 0.40, 0.60), (0.44, 0.48, 0.68)),
)
# How much grey each weather brings to the sky, and what share of the light is left.
_GREY = (0.0, 0.35, 0.75, 0.7)
_LEFT = (1.0, 0.9, 0.74, 0.86)


class Light(NamedTuple):
    """The light of B scenes."""

    zenith: np.ndarray
    """Colour of the sky above (B, 3)."""
    horizon: np.ndarray
    """Colour of the sky at the horizon (B, 3)."""
    glow: np.ndarray
    """Colour around the sun or moon (B, 3)."""
    land: np.ndarray
    """What the colours of the land are multiplied by (B, 3)."""
    x: np.ndarray
    """Where the sun or moon stands (B,): east, the morning's side, is on the left."""
    y: np.ndarray
    """Its height (B,), counted from the top."""
    direct: np.ndarray
    """Share of the sunlight or moonlight that comes through the clouds (B,)."""


def light(time, weather, dice):
    """Return the light of each scene, from its time of day, its weather and its dice."""
    sky, sun = dice["sky"], dice["sun"]

    def pick(table, column):
        return mix(*np.moveaxis(np.array(table)[time], 1, 0), sky[:, column])

    low = np.isin(time, (MORNING, EVENING))
    east = between(sun[:, 0], 0.06, 0.34)
    x = np.select(
        [time == MORNING, time == EVENING], [east, 1 - east], between(sun[:, 0], 0.1, 0.9)
    )
    y = np.where(low, between(sun[:, 1], 0.26, 0.44), between(sun[:, 1], 0.08, 0.24))
    grey, left = np.array(_GREY)[weather], np.array(_LEFT)[weather] ** (1 - 0.8 * (time == NIGHT))
    zenith, horizon = pick(_ZENITH, 0), pick(_HORIZON, 1)
    land = pick(_LAND, 2) * left[:, None]
    return Light(
        zenith=_greyed(zenith, grey) * left[:, None] ** 0.5,
        horizon=_greyed(horizon, 0.7 * grey) * (1 - 0.25 * grey[:, None]),
        glow=np.array(_GLOW)[time],
        land=_greyed(land, 0.5 * grey),
        x=x,
        y=y,
        direct=np.array((1.0, 0.55, 0.12, 0.12))[weather],
    )


def _greyed(colours, share):
    """Return colours (B, 3) moved towards the grey that is as bright."""
    brightness = colours @ np.array([0.299, 0.587, 0.114])
    return mix(colours, brightness[:, None] * np.array([0.97, 1.0, 1.04]), share)
