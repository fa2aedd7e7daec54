"""Answers to the exercises of chapter 8: right ones, and mistakes that are named."""

import numpy as np

from gmmlearn.potts import neighbour_sum

GAIN = 0.01 * (2 * 0.75 + 1) / 64


def blend(noisy, total, count, beta, fidelity):
    return (fidelity * noisy + beta * total / count) / (fidelity + beta)


def parts(w, resp, covariance, noise_variance):
    W = covariance @ np.linalg.inv(covariance + noise_variance * np.eye(w.shape[1]))
    scatter = sum(r * np.outer(one, one) for r, one in zip(resp, w, strict=True))
    return W, scatter


def adapt(w, resp, covariance, learned, noise_variance, strength):
    posterior = np.linalg.inv(np.linalg.inv(covariance) + np.eye(w.shape[1]) / noise_variance)
    total = strength * learned
    for r, one in zip(resp, w, strict=True):
        mean = posterior @ one / noise_variance
        total = total + r * (np.outer(mean, mean) + posterior)
    return total / (strength + resp.sum())


def no_posterior(w, resp, covariance, learned, noise_variance, strength):
    W, scatter = parts(w, resp, covariance, noise_variance)
    return (W @ scatter @ W + strength * learned) / (resp.sum() + strength)


def posterior_once(w, resp, covariance, learned, noise_variance, strength):
    W, scatter = parts(w, resp, covariance, noise_variance)
    return (W @ scatter @ W + noise_variance * W + strength * learned) / (resp.sum() + strength)


def unfiltered(w, resp, covariance, learned, noise_variance, strength):
    _, scatter = parts(w, resp, covariance, noise_variance)
    return (scatter + strength * learned) / (resp.sum() + strength)


def subtracted(w, resp, covariance, learned, noise_variance, strength):
    _, scatter = parts(w, resp, covariance, noise_variance)
    clean = scatter - resp.sum() * noise_variance * np.eye(w.shape[1])
    return (clean + strength * learned) / (resp.sum() + strength)


def noise_everywhere(w, resp, covariance, learned, noise_variance, strength):
    W = covariance @ np.linalg.inv(covariance + noise_variance)
    second = W @ (resp * w.T) @ w @ W.T + resp.sum() * noise_variance * W
    return (second + strength * learned) / (resp.sum() + strength)


def one_sided(w, resp, covariance, learned, noise_variance, strength):
    W, scatter = parts(w, resp, covariance, noise_variance)
    second = W @ scatter + resp.sum() * noise_variance * W
    return (second + strength * learned) / (resp.sum() + strength)


def rescaled(factor):
    return lambda w, r, c, c0, v, a: adapt(w, r, c, c0, v, a) * factor(w, r, a)


def icm(log_joint, labels, strength, moving=lambda board: board % 2 == 0, votes=neighbour_sum):
    one_hot = np.eye(log_joint.shape[2])[labels]
    board = np.indices(labels.shape).sum(axis=0)
    best = (log_joint + strength * votes(one_hot)).argmax(axis=2)
    return np.where(moving(board), best, labels)


def icm_by_loops(log_joint, labels, strength):
    height, width = labels.shape
    new = labels.copy()
    for r in range(height):
        for c in range(width):
            if (r + c) % 2 == 0:
                scores = log_joint[r, c].copy()
                for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    if 0 <= r + down < height and 0 <= c + right < width:
                        scores[labels[r + down, c + right]] += strength
                new[r, c] = scores.argmax()
    return new


def rolled(one_hot):
    return sum(np.roll(one_hot, shift, axis) for axis in (0, 1) for shift in (1, -1))


def every_other_row(log_joint, labels, strength):
    new = labels.copy()
    new[::2, ::2] = icm(log_joint, labels, strength)[::2, ::2]
    return new


def whole_sweep(log_joint, labels, strength):
    black = icm(log_joint, labels, strength)
    return icm(log_joint, black, strength, lambda board: board % 2 == 1)


ICM_MISTAKES = [
    ("08-icm", lambda a, z, s: icm(a, z, s, lambda board: board >= 0), "All pixels moved at once"),
    ("08-icm", whole_sweep, "a whole sweep"),
    ("08-icm", lambda a, z, s: icm(a, z, s, lambda board: board % 2 == 1), "moved the white"),
    ("08-icm", lambda a, z, s: icm(a, z, 0.0), "no say"),
    ("08-icm", lambda a, z, s: a.argmax(axis=2), "each pixel by itself"),
    ("08-icm", every_other_row, "every other row"),
    ("08-icm", lambda a, z, s: icm(np.exp(a), z, s), "took the exponential"),
    ("08-icm", lambda a, z, s: icm(a, z, -s), "check the sign"),
    ("08-icm", lambda a, z, s: icm(a, z, s / 2), "count half"),
    ("08-icm", lambda a, z, s: icm(a, z, s, votes=rolled), "wraps around"),
    ("08-icm", lambda a, z, s: icm(a, z, s, votes=lambda q: neighbour_sum(q) + q), "for itself"),
    ("08-icm", lambda a, z, s: icm(0 * a, z, s), "where is log_joint"),
    ("08-icm", lambda a, z, s: np.eye(a.shape[2])[icm(a, z, s)], "has shape"),
]


RIGHT = {
    "08-gain": [GAIN, round(GAIN, 6), [GAIN], np.float64(GAIN)],
    "08-blend": [blend],
    "08-adapt": [adapt],
    "08-icm": [icm, icm_by_loops],
}

MISTAKES = [
    ("08-gain", 0.01 * 1.5 / 64, "forgot the patch's mean, which"),
    ("08-gain", 0.01 * 1.5 / 63, "forgot the patch's mean, and"),
    ("08-gain", 0.01 * 2.5 / 63, "64 pixels, not 63"),
    ("08-gain", 0.025, "the whole patch"),
    ("08-gain", 0.015, "and to divide"),
    ("08-gain", 0.0075, "two such directions, the mean"),
    ("08-gain", 0.01 * (1.5 + 1 / 64) / 64, "in each of its pixels"),
    ("08-gain", 2.5, "variance is missing"),
    ("08-gain", 0.0004, "within five percent"),
    ("08-gain", 0.01, "the noise itself"),
    ("08-gain", 0.01 * (2 * 0.75**2 + 1) / 64, "squared the gain"),
    ("08-gain", 0.01 * 1.75 / 64, "two such directions"),
    ("08-gain", 0.1 * 2.5 / 64, "do not take its root"),
    ("08-gain", 2 * 0.03 * 0.75 / 64, "variance of the filtered patch"),
    ("08-gain", 7.0, "not the right number"),
    ("08-gain", [1.0, 2.0], "one number"),
    ("08-blend", lambda y, t, n, b, f: (y + b * t / n) / (1 + b), "fidelity has no say"),
    ("08-blend", lambda y, t, n, b, f: (f * y + b * t / n) / (1 + b), "do not sum to one"),
    ("08-blend", lambda y, t, n, b, f: (y + b * t / n) / (f + b), "not the sum alone"),
    ("08-blend", lambda y, t, n, b, f: f * y + (1 - f) * t / n, "beta has no say"),
    ("08-blend", lambda y, t, n, b, f: f * y + b * t / n, "did not divide"),
    ("08-blend", lambda y, t, n, b, f: (f * y + b * t) / (f + b), "total holds sums"),
    ("08-blend", lambda y, t, n, b, f: (f * y + b * t) / (f + b * n), "cancels"),
    ("08-blend", lambda y, t, n, b, f: (b * y + f * t / n) / (f + b), "swapped"),
    ("08-blend", lambda y, t, n, b, f: t / n, "noisy picture has no say"),
    ("08-blend", lambda y, t, n, b, f: y, "not the right value"),
    ("08-adapt", no_posterior, "left out what the filter leaves open"),
    ("08-adapt", posterior_once, "once for each patch"),
    ("08-adapt", unfiltered, "filter them first"),
    ("08-adapt", subtracted, "no M-step"),
    ("08-adapt", rescaled(lambda w, r, a: (r.sum() + a) / r.sum()), "in the denominator too"),
    ("08-adapt", rescaled(lambda w, r, a: (r.sum() + a) / (len(w) + a)), "divided by N,"),
    ("08-adapt", lambda w, r, c, c0, v, a: adapt(w, r, c, c0, v, 0.0), "has no say"),
    ("08-adapt", lambda w, r, c, c0, v, a: adapt(w, 0 * r + 1, c, c0, v, a), "responsibilities"),
    ("08-adapt", noise_everywhere, "diagonal alone"),
    ("08-adapt", lambda w, r, c, c0, v, a: adapt(w, r, c, c0, v**2, a), "You squared"),
    ("08-adapt", lambda w, r, c, c0, v, a: adapt(w, r, c, c0 / a, v, a), "above, too"),
    ("08-adapt", rescaled(lambda w, r, a: r.sum() + a), "all that was counted"),
    ("08-adapt", one_sided, "both sides"),
    ("08-adapt", lambda w, r, c, c0, v, a: c, "not the right value"),
    *ICM_MISTAKES,
]
