"""Paint the trees: trunk and branches, crowns that follow the year, and their shadows."""

import numpy as np

from gmmlearn.scenes._canvas import between, mix, noise, planes, smoothstep, stamp
from gmmlearn.scenes._land import AUTUMN_LEAVES, BLOSSOMS

_SNOW = np.array((0.95, 0.96, 1.0))
_HEIGHT, _WIDTH = 0.62, 0.38
"""Sides of the window that a tree is drawn in."""
_OAK, _POPLAR, _BIRCH, _FIR = range(4)


def paint_trees(canvas, labels, nature, light, dice, land):
    """Paint the labelled number of trees, each apart from its neighbours, the far ones first."""
    place, n_trees = dice["place"], labels.n_trees
    n_max = place.shape[1]
    slots = np.maximum(n_trees, 1)[:, None]
    # Slots of equal width, in random order, so that the nearest tree can stand anywhere.
    order = np.argsort(np.where(np.arange(n_max) < slots, place[:, :, 3], 2.0), axis=1)
    x = 0.07 + 0.86 * (order + 0.5 + (place[:, :, 0] - 0.5) * between(1 / slots, 0.3, 0.9)) / slots
    depth = np.sort(np.where(np.arange(n_max) < slots, place[:, :, 1], 2.0), axis=1)
    for rank in range(int(n_trees.max(initial=0))):
        chosen = np.flatnonzero(n_trees > rank)
        edge = land.ridge[chosen, (x[chosen, rank] * land.ridge.shape[1]).astype(int)]
        foot = edge + (0.96 - edge) * between(depth[chosen, rank], 0.06, 0.75)
        room = 0.80 / slots[chosen, 0]
        _paint_tree(canvas, chosen, rank, x[chosen, rank], foot, room, nature, light, dice)


def _paint_tree(canvas, chosen, rank, x, foot, room, nature, light, dice):
    """Paint the tree number `rank` of the chosen pictures."""
    side = canvas.shape[-1]
    numbers = dice["tree"][chosen, rank]
    height, width = round(_HEIGHT * side), round(_WIDTH * side)
    top = np.round(foot * side).astype(int) - height
    left = np.round(x * side).astype(int) - width // 2
    land, toward_sun = light.land[chosen], np.clip((light.x[chosen] - x) * 3, -1, 1)
    now = type(nature)(*(share[chosen] for share in nature))
    tall = between(numbers[:, 0], 0.75, 1.0) * between(np.clip((foot - 0.5) / 0.4, 0, 1), 0.5, 1.0)
    slim = np.minimum(room / _WIDTH, 1.0)
    # Where each pixel of the window lies on its own tree: t from foot to top, u to both sides.
    t = ((height - np.arange(height, dtype=np.float32) - 0.5) / height)[:, None] / tall[
        :, None, None
    ]
    u = ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1) / slim[:, None, None]
    kind = (3.999 * numbers[:, 1]).astype(int)
    u = (u - (0.3 * (numbers[:, 2] - 0.5))[:, None, None] * t**2).astype(np.float32)
    t = np.broadcast_to(t, (len(x), height, 1)).astype(np.float32)
    _cast_shadow(canvas, chosen, foot, left, width, light, tall)
    wood = _wood(t, u, kind, dice["branches"][chosen, rank], numbers, slim)
    bark = mix([0.33, 0.24, 0.17], [0.45, 0.37, 0.30], numbers[:, 3])
    bark = np.where((kind == _BIRCH)[:, None], (0.82, 0.80, 0.76), bark) * land
    lit = (0.85 + 0.3 * np.clip(0.5 + 4 * u * toward_sun[:, None, None], 0, 1))[:, None]
    stamp(canvas, chosen, top, left, wood, planes(bark) * lit)
    _paint_crown(canvas, chosen, rank, top, left, (t, u, wood), kind, now, land, toward_sun, dice)


def _cast_shadow(canvas, chosen, foot, left, width, light, tall):
    """Darken the ground beside the tree, away from the light."""
    side = canvas.shape[-1]
    height = max(2, round(0.07 * side))
    away = np.clip((light.x[chosen] - 0.5) * -1.6, -1, 1)
    across = np.arange(width) / width * 2 - 1 - 0.35 * away[:, None]
    down = np.arange(height) / height * 2 - 1
    oval = (across / 0.75)[:, None, :] ** 2 + (down**2)[:, None]
    strength = 0.12 + 0.3 * light.direct[chosen] * tall
    alpha = (np.clip(1.2 - oval, 0, 1) * strength[:, None, None]).astype(np.float32)
    shade = planes(light.land[chosen] * np.array((0.10, 0.12, 0.16)))
    stamp(canvas, chosen, np.round(foot * side).astype(int) - height // 2, left, alpha, shade)


def _wood(t, u, kind, branches, numbers, slim):
    """Return the opacity (M, h, w) of trunk and branches."""
    width = u.shape[-1]
    thick = between(numbers[:, 4], 0.07, 0.10) * np.where(kind == _BIRCH, 0.75, 1.0)
    reach = np.where(kind == _FIR, 0.9, between(numbers[:, 5], 0.40, 0.55))
    half = thick[:, None, None] * (1.15 - t / reach[:, None, None]).astype(np.float32)
    # A trunk is never thinner than a pixel of the finished picture.
    half = np.maximum(half, (2.2 / width / slim)[:, None, None].astype(np.float32))
    edge = (width / 2 * slim)[:, None, None].astype(np.float32)
    wood = np.clip((half - np.abs(u)) * edge + 0.5, 0, 1)
    wood *= (t < reach[:, None, None]) & (t > -0.01)
    leafy = np.flatnonzero(kind != _FIR)
    if leafy.size:
        wood[leafy] = _with_branches(wood[leafy], t[leafy], u[leafy], branches[leafy], kind[leafy])
    return wood.astype(np.float32)


def _with_branches(wood, t, u, numbers, kind):
    """Draw branches that fork four times as rows of points into `wood` (M, h, w)."""
    n, height, width = wood.shape
    # Pixels of one unit of t and u, and where zero lies, for each tree.
    per_t = 1 / (t[:, 0, 0] - t[:, 1, 0])
    per_u = 1 / (u[:, 0, 1] - u[:, 0, 0])
    spread = np.where(kind == _POPLAR, 0.5, 1.0)
    starts = [(np.zeros(n), np.full(n, 0.27), np.zeros(n), np.full(n, 0.29))]
    used, along = 0, np.linspace(0, 1, 10)
    for generation in range(4):
        following = []
        for x0, y0, angle, length in starts:
            for direction in (-1, 1) if generation else (-1, 0, 1):
                bend, stretch, shade = numbers[:, used].T
                used += 1
                turned = (
                    angle + spread * direction * between(bend, 0.3, 0.75) + 0.15 * (shade - 0.5)
                )
                long = length * between(stretch, 0.75, 1.1)
                x1, y1 = x0 + 1.3 * long * np.sin(turned), y0 + long * np.cos(turned)
                following.append((x1, y1, turned, 0.68 * long))
                px = x0[:, None] + (x1 - x0)[:, None] * along
                py = y0[:, None] + (y1 - y0)[:, None] * along
                column = ((px - u[:, 0, :1]) * per_u[:, None] + 0.5).astype(int)
                row = ((t[:, 0] - py) * per_t[:, None] + 0.5).astype(int)
                inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
                tree = np.broadcast_to(np.arange(n)[:, None], column.shape)[inside]
                wood[tree, row[inside], column[inside]] = 1.0 if generation < 2 else 0.85
        starts = following[:: 1 if generation < 2 else 2]
    return wood


def _paint_crown(canvas, chosen, rank, top, left, shape, kind, now, land, toward_sun, dice):
    """Paint leaves, blossom and snow on the tree."""
    side, (t, u, wood) = canvas.shape[-1], shape
    numbers = dice["tree"][chosen, rank]
    inside = _crown(t, u, kind, dice["crown"][chosen, rank])
    fine = noise("leaves", side, numbers[:, 6:8], *wood.shape[1:])
    fullness = np.where(kind == _FIR, 1.0, now.leaves)[:, None, None].astype(np.float32)
    body = smoothstep(6 * (inside + 0.35 * (fine - 0.5)))
    # Leaves fall one by one: where the noise is above the share that is left, the sky shows.
    leaf = body * smoothstep(5 * (1.12 * fullness - fine))
    first, second = _leaf_colours(kind, now, numbers)
    upward = np.clip(1.1 * (t - 0.62), -0.4, 0.4)
    bright = 0.86 + 0.55 * (0.35 * u * toward_sun[:, None, None] + upward) + 0.35 * (fine - 0.5)
    patch = smoothstep(3 * (np.roll(fine, 3, axis=2) - 0.4))[:, None]
    colour = (planes(first * land) * (1 - patch) + planes(second * land) * patch) * bright[:, None]
    stamp(canvas, chosen, top, left, leaf, colour)
    # Snow lies on what is wood or leaf with nothing solid just above.
    solid = np.maximum(leaf, wood)
    lying = np.clip(solid - 0.9 * np.roll(solid, 2, axis=1), 0, 1) * (t > 0.12)
    lying *= np.where(kind == _FIR, 1.0, 0.75)[:, None, None]
    lying += 0.45 * solid * (fine > 0.55) * (kind == _FIR)[:, None, None]
    alpha = np.clip(lying * (1.1 * now.snow)[:, None, None], 0, 0.95).astype(np.float32)
    snowy = np.flatnonzero(now.snow > 0.02)
    if snowy.size:
        white = planes(_SNOW * land)[snowy]
        stamp(canvas, chosen[snowy], top[snowy], left[snowy], alpha[snowy], white)


def _crown(t, u, kind, numbers):
    """Return how far inside its crown each pixel lies (M, h, w), negative outside."""
    centre = np.array((0.64, 0.58, 0.66, 0.0))[kind]
    tall, wide = np.array((0.27, 0.40, 0.30, 1))[kind], np.array((0.62, 0.27, 0.46, 1))[kind]
    inside = np.full(np.broadcast_shapes(t.shape, u.shape), -1.0, dtype=np.float32)
    for x, y, radius in np.moveaxis(numbers, 1, 0).swapaxes(1, 2):
        angle, away = 2 * np.pi * x, 0.62 * np.sqrt(y)
        du = (u - (wide * away * np.cos(angle))[:, None, None].astype("f4")) / wide[
            :, None, None
        ].astype("f4")
        dt = (t - (centre + tall * away * np.sin(angle))[:, None, None].astype("f4")) / tall[
            :, None, None
        ].astype("f4")
        size = between(radius, 0.42, 0.72)[:, None, None].astype("f4")
        np.maximum(inside, 1 - (du * du + dt * dt) / (size * size), out=inside)
    firs = np.flatnonzero(kind == _FIR)
    if firs.size:
        tier = (t[firs] * 5.5 + numbers[firs, 0, :1, None]) % 1
        half = 0.66 * np.clip(0.96 - t[firs], 0, 1) * (1.05 - 0.45 * tier) + 0.02
        skirt = (t[firs] > 0.14) & (t[firs] < 0.96)
        inside[firs] = np.where(skirt, 4 * (half - np.abs(u[firs])), -1.0)
    return inside


def _leaf_colours(kind, now, numbers):
    """Return two colours (M, 3) that the crown is mottled with."""
    deep = mix([0.16, 0.36, 0.13], [0.30, 0.47, 0.17], numbers[:, 8])
    fresh = mix([0.50, 0.70, 0.22], [0.62, 0.76, 0.32], numbers[:, 8])
    green = mix(deep, fresh, 0.85 * now.fresh)
    blossoming = now.blossom * (numbers[:, 9] < 0.6)
    petals = BLOSSOMS[(2.999 * numbers[:, 10]).astype(int)]
    colours = []
    for column in (10, 11):
        turned = AUTUMN_LEAVES[(3.999 * numbers[:, column]).astype(int)]
        leaf = mix(green, turned, now.autumn * between(numbers[:, column], 0.75, 1.0))
        colours.append(mix(leaf, petals, blossoming * (0.9 if column == 10 else 0.6)))
    fir = mix([0.10, 0.25, 0.17], [0.17, 0.33, 0.22], numbers[:, 8])
    return (
        np.where((kind == _FIR)[:, None], f * fir, c)
        for c, f in zip(colours, (1.0, 1.35), strict=True)
    )
