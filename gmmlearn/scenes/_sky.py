"""Paint the sky: its gradient, stars, sun or moon, and clouds."""

import numpy as np

from gmmlearn.scenes._canvas import between, blend, mix, noise, planes, smoothstep
from gmmlearn.scenes._light import CLOUDY, DAY, EVENING, MORNING, NIGHT, RAIN, SNOW

# Share of the sky under clouds in each weather, from and to.
_COVER = ((0.0, 0.16), (0.50, 0.72), (0.8, 0.98), (0.75, 0.95))


def paint_sky(canvas, labels, light, dice):
    """Paint the colours of the sky, lighter towards the horizon and around the sun."""
    side, sky = canvas.side, dice["sky"]
    y = (np.arange(side, dtype=np.float32) + 0.5) / side
    down = np.clip(y / 0.62, 0, 1) ** between(sky[:, 3, None], 0.7, 1.5)
    column = (
        planes(light.zenith)[..., 0] * (1 - down[:, None])
        + planes(light.horizon)[..., 0] * down[:, None]
    )
    canvas.pixels[:] = column[..., None].astype(np.float32)
    # The glow is a product of one bell across and one bell down.
    spread = np.where(np.isin(labels.time, (MORNING, EVENING)), 0.38, 0.2)[:, None]
    strength = np.array((0.75, 0.45, 0.85, 0.3))[labels.time] * (0.35 + 0.65 * light.direct)
    across = strength[:, None] * np.exp(-(((y - light.x[:, None]) / spread) ** 2))
    bell = np.exp(-(((y - light.y[:, None]) / (0.75 * spread)) ** 2))
    alpha = (bell[:, :, None] * across[:, None, :]).astype(np.float32)
    rows = round(0.8 * side)
    blend(canvas.pixels[:, :, :rows], alpha[:, :rows], planes(light.glow))


def paint_stars(canvas, labels, dice):
    """Scatter stars over clear night skies; a few shine between the clouds."""
    stars = dice["stars"]
    shown = np.array((1.0, 0.3, 0.0, 0.0))[labels.weather] * (labels.time == NIGHT)
    which, star = np.nonzero(np.arange(stars.shape[1]) < (shown * stars.shape[1])[:, None])
    x, y, magnitude = stars[which, star].T
    colours = mix(np.full((len(which), 3), 0.9), [1.0, 0.95, 0.8], x * 7 % 1)
    canvas.dots(which, x, 0.55 * y, colours, 0.25 + 0.75 * magnitude**2, 1 / 128)


def paint_sun(canvas, labels, light, dice):
    """Paint the sun, or by night the moon with its phase, where the clouds let it through."""
    side = canvas.side
    chosen = np.flatnonzero(labels.weather <= CLOUDY)
    radius = between(dice["sun"][chosen, 2], 0.045, 0.075)
    half = round(0.085 * side)
    left = np.round(light.x[chosen] * side).astype(int) - half
    top = np.round(light.y[chosen] * side).astype(int) - half
    offset = np.arange(-half, half) + 0.5
    squared = offset[:, None] ** 2 + offset**2
    distance = np.sqrt(squared).astype(np.float32)
    disc = np.clip(radius[:, None, None] * side - distance + 0.5, 0, 1)
    # The moon's dark part: a second disc, moved aside by the phase.
    phase = between(dice["sun"][chosen, 3], -1.6, 1.6) * radius * side
    beside = np.hypot(offset[:, None], offset - phase[:, None, None])
    dark = np.clip(radius[:, None, None] * side - beside + 0.5, 0, 1)
    dark *= (np.abs(phase) > 0.5 * radius * side)[:, None, None]
    is_night = labels.time[chosen] == NIGHT
    disc *= np.where(is_night[:, None, None], 1 - dark, 1.0)
    colours = np.array(((1.0, 0.97, 0.86), (1.0, 0.99, 0.88), (1.0, 0.86, 0.52), (0.96, 0.96, 0.9)))
    disc = disc.astype(np.float32)
    paint = disc[:, None] * planes(colours[labels.time[chosen]])
    canvas.stamp(chosen, top, left, disc, paint)


def paint_clouds(canvas, labels, light, dice):
    """Cover a share of the sky with clouds: lit at their edges, grey where they are thick."""
    side, clouds = canvas.side, dice["clouds"]
    rows = round(0.66 * side)
    cover = np.array(_COVER)[labels.weather]
    cover = between(clouds[:, 2], cover[:, 0], cover[:, 1])
    drawn = np.flatnonzero(cover > 0.03)
    cover = cover[drawn, None, None].astype(np.float32)
    thickness = noise("clouds", side, clouds[drawn, :2], rows, side) - (1 - cover)
    # They thin out towards the horizon, so that the colour of the hour stays in view.
    y = np.arange(rows, dtype=np.float32)[:, None] / side
    thickness -= np.clip(2.4 * (y - 0.24), 0, 0.8)
    opacity = smoothstep(thickness * 5.0) * np.float32(0.92)
    dark = labels.time[drawn] == NIGHT
    wet = np.isin(labels.weather[drawn], (RAIN, SNOW))
    lit = mix(light.horizon[drawn], light.glow[drawn], 0.45)
    lit = np.where(
        wet[:, None], mix(light.horizon[drawn], light.zenith[drawn], 0.8 - 0.45 * dark), lit
    )
    is_day = (labels.time[drawn] == DAY) & (labels.weather[drawn] <= CLOUDY)
    lit = np.where(is_day[:, None], (0.98, 0.98, 0.99), lit)
    shade = lit * np.where(wet, 0.72, 0.8)[:, None]
    core = np.clip(thickness * 2.2, 0, 1)[:, None]
    colour = planes(lit) + core * planes(shade - lit)
    part = canvas.pixels[drawn, :, :rows]
    blend(part, opacity, colour)
    canvas.pixels[drawn, :, :rows] = part
