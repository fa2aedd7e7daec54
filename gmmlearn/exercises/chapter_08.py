"""Checkers of chapter 8: patches of photographs, and labels that agree."""

import numpy as np

from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault
from gmmlearn.potts import neighbour_sum


@exercise(
    "08-gain",
    hint="The expected squared error of the whole patch is the trace of the posterior "
    "covariance, one eigenvalue at a time, plus what the error of the mean adds in all "
    "pixels. Divide last.",
)
def gain(answer):
    """What a Wiener filter leaves of the noise."""
    noise, share = 0.01, 0.03 / 0.04
    mistakes = [
        (noise * 2 * share / 64, "You forgot the patch's mean, which keeps its own noise."),
        (noise * 2 * share / 63, "You forgot the patch's mean, and a patch has 64 pixels."),
        (noise * (2 * share + 1) / 63, "A patch has 64 pixels, not 63."),
        (noise * 2 * share, "You forgot the patch's mean, and to divide by the pixels."),
        (noise * share, "There are two such directions, the mean, and a division by the pixels."),
        (noise * (2 * share + 1 / 64) / 64, "The error of the mean sits in each of its pixels."),
        (2 * share + 1, "The noise's variance is missing."),
        (noise * (2 * share + 1), "That is the error of the whole patch: divide by its pixels."),
        (noise, "That is the noise itself: the filter removes most of it."),
        (noise * (2 * share**2 + 1) / 64, "You squared the gain, which is what noise alone leaves. "
         "The filter also loses some of the patch."),
        (noise * (share + 1) / 64, "There are two such directions."),
        (0.1 * (2 * share + 1) / 64, "The noise's variance is s^2 itself: do not take its root."),
        (2 * 0.03 * share / 64, "That is the variance of the filtered patch, not its error."),
    ]  # fmt: skip
    expected = noise * (2 * share + 1) / 64
    return diagnose(answer, expected, "the error", mistakes, rtol=5e-3)


@exercise(
    "08-blend",
    hint="Take both terms for a single pixel x, differentiate, and set the sum to zero. How "
    "often does each term hold the pixel, and what is the patches' mean there?",
)
def blend(answer):
    """Blend patches with the noisy picture, at any fidelity."""
    fault = function_fault(answer, "answer(noisy, total, count, beta, fidelity)")
    if fault is not None:
        return fault
    for seed in range(4):
        rng = np.random.default_rng(seed)
        noisy, count = rng.random((5, 6)), rng.integers(1, 65, (5, 6)).astype(float)
        total, beta = count * rng.random((5, 6)), float(rng.choice([2.0, 4.0, 8.0]))
        fidelity = float(rng.uniform(0.3, 0.8))
        value, fault = call(answer, noisy, total, count, beta, fidelity)
        if fault is not None:
            return fault
        mean, both = total / count, fidelity + beta
        mistakes = [
            ((noisy + beta * mean) / (1 + beta), "The fidelity has no say in your answer."),
            ((fidelity * noisy + beta * mean) / (1 + beta), "The weights do not sum to one: divide "
             "by both of them."),
            ((noisy + beta * mean) / both, "The fidelity weighs the noisy picture, too, not the "
             "sum alone."),
            (fidelity * noisy + (1 - fidelity) * mean, "The number beta has no say in your "
             "answer."),
            (fidelity * noisy + beta * mean, "You did not divide by the sum of the weights."),
            ((fidelity * noisy + beta * total) / both, "The array total holds sums over patches: "
             "divide it by count."),
            ((fidelity * noisy + beta * total) / (fidelity + beta * count), "The noise is counted "
             "once for each patch too, so the number of patches cancels."),
            ((beta * noisy + fidelity * mean) / both, "The weights of picture and patches are "
             "swapped."),
            (mean, "The noisy picture has no say in your answer."),
        ]  # fmt: skip
        fault = diagnose(value, (fidelity * noisy + beta * mean) / both, "the picture", mistakes)
        if fault is not None:
            return fault
    return None


@exercise(
    "08-adapt",
    hint="There are two sums over the patches. Out of the first, w w' between two filters, the "
    "filters can be moved; in the second, the same matrix stands again and again.",
)
def adapt(answer):
    """One shrunk M-step on noisy patches."""
    return first_fault(
        answer,
        "answer(w, resp, covariance, learned, noise_variance, strength)",
        _adapt_cases(),
        _adapt_fault,
    )


def _adapt_cases():
    """Yield coefficients, responsibilities, two covariances, and two numbers."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        roots = rng.standard_normal((2, 4, 4))
        covariance, learned = roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(4)
        w, resp = 2.0 * rng.standard_normal((30, 4)), rng.random(30)
        noise_variance, strength = float(rng.uniform(0.3, 1.0)), float(rng.uniform(3.0, 9.0))
        yield w, resp, covariance, learned, noise_variance, strength


def _adapt_fault(value, w, resp, covariance, learned, noise_variance, strength):
    """Return the remark on one answer, or None."""
    filtering = covariance @ np.linalg.inv(covariance + noise_variance * np.eye(4))
    scatter, count = (resp[:, None] * w).T @ w, resp.sum()
    clean, spread = filtering @ scatter @ filtering, noise_variance * filtering

    def pooled(second, total=count + strength):
        return (second + strength * learned) / total

    expected = pooled(clean + count * spread)
    identity = np.eye(4)
    flat = covariance @ np.linalg.inv(covariance + noise_variance)
    squared = covariance @ np.linalg.inv(covariance + noise_variance**2 * identity)

    def filtered(filtering, variance=noise_variance):
        return pooled(filtering @ scatter @ filtering.T + count * variance * filtering)

    mistakes = [
        (filtered(flat), "Adding a number to a matrix raises all of its entries: noise raises the "
         "diagonal alone."),
        (filtered(squared, noise_variance**2), "You squared noise_variance, which is a variance."),
        ((clean + count * spread + learned) / (count + strength), "The strength belongs to the "
         "learned covariance above, too."),
        (clean + count * spread + strength * learned, "Divide by all that was counted."),
        (pooled(clean), "You left out what the filter leaves open: the posterior covariance."),
        (pooled(clean + spread), "The posterior covariance counts once for each patch, by its "
         "responsibility."),
        (pooled(scatter), "Those are the noisy patches: filter them first."),
        (pooled(scatter - count * noise_variance * np.eye(4)), "Subtracting the noise variance is "
         "no M-step, and may leave a negative variance: filter the patches."),
        (pooled(clean + count * spread, count), "The learned covariance counts like patches: its "
         "strength belongs in the denominator too."),
        (pooled(clean + count * spread, len(w) + strength), "You divided by N, not by N_k."),
        ((clean + count * spread) / count, "The learned covariance has no say in your answer."),
        (pooled((filtering @ w.T) @ w @ filtering + len(w) * spread, len(w) + strength),
         "The responsibilities have no say in your answer."),
        (pooled(filtering @ scatter + count * spread), "The filter acts on both sides of w w'."),
    ]  # fmt: skip
    return diagnose(value, expected, "the covariance", mistakes)


def _icm(log_joint, labels, strength, moving, votes=None):
    """Return `labels` with the pixels that `moving` names replaced by their conditional modes."""
    votes = neighbour_sum(np.eye(log_joint.shape[2])[labels]) if votes is None else votes
    return np.where(moving, (log_joint + strength * votes).argmax(axis=2), labels)


@exercise(
    "08-icm",
    hint="One-hot labels, shape (height, width, K), turn counting votes into a sum over "
    "neighbours. What does each pixel maximise, and which pixels keep their label?",
)
def icm(answer):
    """Half a sweep of iterated conditional modes."""
    fault = function_fault(answer, "answer(log_joint, labels, strength)")
    if fault is not None:
        return fault
    for seed, shape in enumerate([(7, 9, 3), (8, 6, 4), (5, 5, 2)]):
        rng = np.random.default_rng(seed)
        log_joint = rng.standard_normal(shape)
        labels = rng.integers(shape[2], size=shape[:2])
        black = np.indices(shape[:2]).sum(axis=0) % 2 == 0
        one_hot = np.eye(shape[2])[labels]
        around = sum(np.roll(one_hot, shift, axis) for axis in (0, 1) for shift in (1, -1))
        value, fault = call(answer, log_joint, labels, 0.8)
        if fault is not None:
            return fault
        expected = _icm(log_joint, labels, 0.8, black)
        white = _icm(log_joint, labels, 0.8, ~black)
        mistakes = [
            (_icm(log_joint, labels, 0.8, True), "All pixels moved at once. Neighbours that move "
             "together may both follow each other, and the score can fall: move the black ones."),
            (_icm(log_joint, expected, 0.8, ~black), "That is a whole sweep: move the black pixels "
             "only."),
            (white, "You moved the white pixels. Black ones have an even sum of row and column."),
            (_icm(log_joint, labels, 0.0, black), "The neighbours have no say in your answer: add "
             "strength for each that has the label."),
            (log_joint.argmax(axis=2), "That is the best label of each pixel by itself: neighbours "
             "have no say."),
            (_icm(log_joint, labels, 0.8, black & (np.arange(shape[0]) % 2 == 0)[:, None]), "Only "
             "every other row moved: a black pixel has an even sum of row and column."),
            (_icm(np.exp(log_joint), labels, 0.8, black), "You took the exponential: votes add to "
             "logarithms."),
            (_icm(log_joint, labels, -0.8, black), "Agreement lowers your score: check the sign."),
            (_icm(log_joint, labels, 0.4, black), "Your votes count half. Each pair is counted "
             "once, and all of it depends on this pixel."),
            (_icm(log_joint, labels, 0.8, black, around), "Pixels of opposite edges are no "
             "neighbours: np.roll wraps around."),
            (_icm(log_joint, labels, 0.8, black, neighbour_sum(one_hot) + one_hot), "A pixel does "
             "not vote for itself."),
            (_icm(np.zeros(shape), labels, 0.8, black), "The colours have no say in your answer: "
             "where is log_joint?"),
        ]  # fmt: skip
        fault = diagnose(value, expected, "the array of labels", mistakes)
        if fault is not None:
            return fault
    return None
