"""Paint the trees: trunk and branches, crowns that follow the year, and their shadows."""

from typing import NamedTuple

import numpy as np

from gmmlearn.scenes._canvas import between, mix, noise, pick, planes, smoothstep
from gmmlearn.scenes._land import AUTUMN_LEAVES, BLOSSOMS, SNOW_WHITE

_HEIGHT, _WIDTH = 0.62, 0.38
"""Sides of the window that a tree is drawn in."""
_OAK, _POPLAR, _BIRCH, _FIR = range(4)
# A branch starts at the top of the trunk and forks in these directions, again and again.
_FORKS = ((-1, 0, 1), (-1, 1), (-1, 1), (-1, 1))


class _Trees(NamedTuple):
    """All M trees of a block of pictures."""

    which: np.ndarray
    """The picture of each (M,)."""
    rank: np.ndarray
    """Its number among the trees of its picture (M,), the farthest first."""
    x: np.ndarray
    """Where it stands (M,)."""
    foot: np.ndarray
    """The height of its foot, counted from the top of the picture (M,)."""
    slim: np.ndarray
    """How much narrower than its window it has to be, for want of room (M,)."""
    kind: np.ndarray
    """Oak, poplar, birch or fir (M,)."""
    dice: np.ndarray
    """Its random numbers (M, 12)."""


class _Grid(NamedTuple):
    """Where each pixel of a tree's window lies on the tree."""

    t: np.ndarray
    """From 0 at the foot to 1 at the top (M, h, 1)."""
    u: np.ndarray
    """From -1 to 1 across, following the tree's lean (M, h, w)."""


def paint_trees(canvas, labels, nature, light, dice, land):
    """Paint the labelled number of trees, each apart from its neighbours, the far ones first."""
    trees = _plant(labels.n_trees, dice, land)
    if trees.which.size == 0:
        return
    side = canvas.side
    height, width = round(_HEIGHT * side), round(_WIDTH * side)
    top = np.round(trees.foot * side).astype(int) - height
    left = np.round(trees.x * side).astype(int) - width // 2
    shadow = _shadow(trees, light, width, max(2, round(0.07 * side)))
    shadow_top = np.round(trees.foot * side).astype(int) - shadow.shape[1] // 2
    ground = shadow[:, None] * planes((light.land * (0.10, 0.12, 0.16))[trees.which])
    alpha, paint = _sprites(trees, nature, light, dice, height, width, side)
    for rank in range(trees.rank.max() + 1):
        now = np.flatnonzero(trees.rank == rank)
        canvas.stamp(trees.which[now], shadow_top[now], left[now], shadow[now], ground[now])
        canvas.stamp(trees.which[now], top[now], left[now], alpha[now], paint[now])


def _plant(n_trees, dice, land):
    """Give each tree its place: slots of equal width, in random order from far to near."""
    place, n_max = dice["place"], dice["place"].shape[1]
    exists = np.arange(n_max) < n_trees[:, None]
    slots = np.maximum(n_trees, 1)[:, None]
    slot = np.argsort(np.where(exists, place[:, :, 3], 2.0), axis=1)
    jitter = (place[:, :, 0] - 0.5) * between(1 / slots, 0.3, 0.9)
    depth = np.sort(np.where(exists, place[:, :, 1], 2.0), axis=1)
    which, rank = np.nonzero(exists)
    x = (0.07 + 0.86 * (slot + 0.5 + jitter) / slots)[which, rank]
    edge = land.ridge[which, (x * land.ridge.shape[1]).astype(int)]
    foot = edge + (0.96 - edge) * between(depth[which, rank], 0.06, 0.75)
    numbers = dice["tree"][which, rank]
    slim = np.minimum(0.80 / slots[which, 0] / _WIDTH, 1.0)
    return _Trees(which, rank, x, foot, slim, pick(np.arange(4), numbers[:, 1]), numbers)


def _shadow(trees, light, width, height):
    """Return the opacity (M, height, width) of the shadows, away from the light."""
    away = np.clip((light.x[trees.which] - 0.5) * -1.6, -1, 1)
    across = np.arange(width) / width * 2 - 1 - 0.35 * away[:, None]
    down = np.arange(height) / height * 2 - 1
    oval = (across / 0.75 / trees.slim[:, None])[:, None, :] ** 2 + (down**2)[:, None]
    strength = 0.12 + 0.25 * light.direct[trees.which]
    return (np.clip(1.2 - oval, 0, 1) * strength[:, None, None]).astype(np.float32)


def _sprites(trees, nature, light, dice, height, width, side):
    """Return opacity (M, h, w) of the trees and their colours times opacity (M, 3, h, w)."""
    near = between(np.clip((trees.foot - 0.5) / 0.4, 0, 1), 0.5, 1.0)
    tall = between(trees.dice[:, 0], 0.75, 1.0) * near
    lean = 0.3 * (trees.dice[:, 2] - 0.5)
    up = ((height - np.arange(height, dtype=np.float32) - 0.5) / height)[:, None]
    across = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    t = up / _column(tall)
    grid = _Grid(t, across / _column(trees.slim) - _column(lean) * t**2)
    wood = _trunks(trees, grid, width)
    leafy = np.flatnonzero(trees.kind != _FIR)
    branches = dice["branches"][trees.which[leafy], trees.rank[leafy]]
    points = _branches(branches, trees.kind[leafy], lean[leafy], round(0.2 * side))
    # From places on the tree to pixels of the window.
    column = ((points[0] * trees.slim[leafy, None] + 1) * width / 2).astype(int)
    row = height - 1 - (points[1] * tall[leafy, None] * height).astype(int)
    for down in range(max(1, side // 64)):
        inside = (column >= 0) & (column < width) & (row + down >= 0) & (row + down < height)
        tree = np.broadcast_to(leafy[:, None], column.shape)[inside]
        wood[tree, row[inside] + down, column[inside]] = 0.95
    return _coloured(trees, grid, wood, nature, light, dice, side)


def _column(values):
    """Return numbers of trees (M,) as float32 (M, 1, 1), to meet their windows."""
    return values[:, None, None].astype(np.float32)


def _trunks(trees, grid, width):
    """Return the opacity (M, h, w) of the trunks."""
    thick = between(trees.dice[:, 4], 0.07, 0.10) * np.where(trees.kind == _BIRCH, 0.75, 1.0)
    reach = np.where(trees.kind == _FIR, 0.9, between(trees.dice[:, 5], 0.40, 0.55))
    half = _column(thick) * (1.15 - grid.t / _column(reach))
    # A trunk is never thinner than a pixel of the finished picture.
    half = np.maximum(half, _column(2.2 / width / trees.slim))
    wood = np.clip((half - np.abs(grid.u)) * _column(width / 2 * trees.slim) + 0.5, 0, 1)
    return wood * ((grid.t < _column(reach)) & (grid.t > -0.01))


def _branches(numbers, kind, lean, n_points):
    """Return points (M, points) along the branches of trees, u across and t up."""
    n_trees, used, along = len(kind), 0, np.linspace(0, 1, n_points)
    spread = np.where(kind == _POPLAR, 0.5, 1.0)[:, None, None]
    x, y, angle, length = (np.full((n_trees, 1), v) for v in (0.0, 0.27, 0.0, 0.29))
    drawn = []
    for generation, fork in enumerate(_FORKS):
        n_branches = x.shape[1] * len(fork)
        shape = (n_trees, x.shape[1], len(fork))
        bend, stretch, sway = np.moveaxis(numbers[:, used : used + n_branches], 2, 0)
        used += n_branches
        turn = spread * np.array(fork) * between(bend.reshape(shape), 0.3, 0.75)
        angle = (angle[:, :, None] + turn).reshape(n_trees, -1) + 0.15 * (sway - 0.5)
        x0, y0, length = (np.repeat(v, len(fork), axis=1) for v in (x, y, length))
        length = length * between(stretch, 0.75, 1.1)
        dx, dy = 1.3 * length * np.sin(angle), length * np.cos(angle)
        drawn.append(
            np.stack([x0[..., None] + dx[..., None] * along, y0[..., None] + dy[..., None] * along])
        )
        x, y, length = x0 + dx, y0 + dy, 0.68 * length
        if generation == 2:  # only every other twig forks once more
            x, y, angle, length = (v[:, ::2] for v in (x, y, angle, length))
    points = np.concatenate(drawn, axis=2).reshape(2, n_trees, -1)
    return points[0] + lean[:, None] * points[1] ** 2, points[1]


def _coloured(trees, grid, wood, nature, light, dice, side):
    """Return opacity and colours times opacity of wood, leaves and snow together."""
    now = type(nature)(*(share[trees.which] for share in nature))
    land = light.land[trees.which]
    toward_sun = _column(np.clip((light.x[trees.which] - trees.x) * 3, -1, 1))
    bark = mix([0.33, 0.24, 0.17], [0.45, 0.37, 0.30], trees.dice[:, 3])
    bark = np.where((trees.kind == _BIRCH)[:, None], (0.82, 0.80, 0.76), bark) * land
    lit = wood * (0.85 + 0.3 * np.clip(0.5 + 4 * grid.u * toward_sun, 0, 1))
    alpha, paint = wood, planes(bark) * lit[:, None]

    fine = noise("leaves", side, trees.dice[:, 6:8], *wood.shape[1:])
    crown = _crowns(grid, trees.kind, dice["crown"][trees.which, trees.rank])
    fullness = _column(np.where(trees.kind == _FIR, 1.0, now.leaves))
    # Leaves fall one by one: where the noise is above the share that is left, the sky shows.
    leaf = smoothstep(6 * (crown + 0.35 * (fine - 0.5))) * smoothstep(5 * (1.12 * fullness - fine))
    upward = np.clip(1.1 * (grid.t - 0.62), -0.4, 0.4)
    bright = 0.86 + 0.55 * (0.35 * grid.u * toward_sun + upward) + 0.35 * (fine - 0.5)
    patch = smoothstep(3 * (np.roll(fine, 3, axis=2) - 0.4))[:, None]
    first, second = (planes(colour * land) for colour in _leaf_colours(trees, now))
    paint = _over(paint, leaf, (first + patch * (second - first)) * bright[:, None])
    alpha = alpha + leaf * (1 - alpha)

    if now.snow.max() > 0.02:
        snow = _snow(alpha, grid, fine, trees.kind, now.snow)
        paint = _over(paint, snow, planes(SNOW_WHITE * land))
        alpha = alpha + snow * (1 - alpha)
    return alpha, paint


def _over(paint, alpha, colour):
    """Return colours times opacity of `paint` with a layer of `colour` over it."""
    return paint + alpha[:, None] * (colour - paint)


def _snow(solid, grid, fine, kind, amount):
    """Return the opacity of the snow: on what is wood or leaf with nothing solid just above."""
    lying = np.clip(solid - 0.9 * np.roll(solid, 2, axis=1), 0, 1) * (grid.t > 0.12)
    fir = _column(kind == _FIR)
    lying = lying * (0.75 + 0.25 * fir) + 0.45 * solid * (fine > 0.55) * fir
    return np.clip(lying * _column(1.1 * amount), 0, 0.95)


def _crowns(grid, kind, numbers):
    """Return how far inside its crown each pixel lies (M, h, w), negative outside."""
    middle = np.array((0.64, 0.58, 0.66, 0.0))[kind]
    tall, wide = (np.array(v)[kind] for v in ((0.27, 0.40, 0.30, 1.0), (0.62, 0.27, 0.46, 1.0)))
    u, t = grid.u / _column(wide), (grid.t - _column(middle)) / _column(tall)
    inside = np.full(u.shape, -1.0, dtype=np.float32)
    for around, away, size in np.moveaxis(numbers, (1, 2), (0, 1)):
        angle, away = 2 * np.pi * around, 0.62 * np.sqrt(away)
        du, dt = u - _column(away * np.cos(angle)), t - _column(away * np.sin(angle))
        shrink = _column(between(size, 0.42, 0.72) ** -2.0)
        np.maximum(inside, 1 - (du * du + dt * dt) * shrink, out=inside)
    firs = np.flatnonzero(kind == _FIR)
    t, u = grid.t[firs], grid.u[firs]
    tier = (t * 5.5 + numbers[firs, 0, :1, None]) % 1
    half = 0.66 * np.clip(0.96 - t, 0, 1) * (1.05 - 0.45 * tier) + 0.02
    inside[firs] = np.where((t > 0.14) & (t < 0.96), 4 * (half - np.abs(u)), -1.0)
    return inside


def _leaf_colours(trees, now):
    """Return two colours (M, 3) that each crown is mottled with."""
    shade, petals, turning = trees.dice[:, 8], trees.dice[:, 10], trees.dice[:, 10:12]
    green = mix([0.16, 0.36, 0.13], [0.30, 0.47, 0.17], shade)
    fresh = mix([0.50, 0.70, 0.22], [0.62, 0.76, 0.32], shade)
    green = mix(green, fresh, 0.85 * now.fresh)
    blossoming = now.blossom * (trees.dice[:, 9] < 0.6)
    petals = pick(BLOSSOMS, petals)
    fir = mix([0.10, 0.25, 0.17], [0.17, 0.33, 0.22], shade)
    is_fir = (trees.kind == _FIR)[:, None]
    for column, (petal_share, fir_light) in enumerate(((0.9, 1.0), (0.6, 1.35))):
        turned = pick(AUTUMN_LEAVES, turning[:, column])
        leaf = mix(green, turned, now.autumn * between(turning[:, column], 0.75, 1.0))
        leaf = mix(leaf, petals, blossoming * petal_share)
        yield np.where(is_fir, fir * fir_light, leaf)
