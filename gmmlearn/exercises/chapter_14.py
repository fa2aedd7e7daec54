"""Checkers for the exercises of chapter 14."""

import copy

import numpy as np
from scipy.special import expit

from gmmlearn.exercises import call, diagnose, exercise, first_fault, function_fault


@exercise(
    "14-bits",
    hint="The theorem on the best discriminator ties its loss to the divergence: which constant "
    "and which factor stand between them? Change the unit last.",
)
def _bits(answer):
    loss = 0.8
    nats = (2 * np.log(2) - loss) / 2
    return diagnose(
        answer,
        nats / np.log(2),
        "The divergence",
        [
            (nats, "That is in nats: bits were asked for."),
            (2 * nats, "That is twice the divergence, and in nats."),
            (2 * nats / np.log(2), "That is twice the divergence: the loss adds two expectations."),
            (loss, "That is the loss, which falls as the divergence grows."),
            (nats * np.log(2), "From nats to bits one divides by log 2."),
            (-nats / np.log(2), "Turn it round: the better one can tell, the lower the loss."),
            (
                (2 * np.log(2) - loss / np.log(2)) / 2,
                "Only the loss is in bits there: convert all.",
            ),
            (1 - loss / 2, "You took the loss for bits: it is in nats."),
            ((np.log(2) - loss) / np.log(2), "Nothing learned costs log 2 twice: two sets."),
            (loss / np.log(2), "That is the loss in bits, not yet the divergence."),
        ],
        rtol=0.02,  # two digits will do
    )


@exercise(
    "14-optimal",
    hint="Divide numerator and denominator of the best probability by one of the two densities. "
    "Which function of the difference of the log densities is left?",
)
def _optimal(answer):
    cases = (
        tuple(np.random.default_rng(seed).normal(size=(2, 6 + seed)) * 2 + far)
        for far in (0.0, -2000.0)
        for seed in range(3)
    )
    fault = first_fault(answer, "answer(log_p, log_q)", cases, _optimal_fault)
    if fault is not None:
        return fault
    # Where one of the two is impossible, the answer is certain.
    value, fault = call(answer, np.array([-2000.0, 0.0]), np.array([0.0, -2000.0]))
    return fault or diagnose(value, [0.0, 1.0], "The probability far out", [])


def _optimal_fault(value, log_p, log_q):
    """Say what is wrong with the probabilities for these log densities."""
    if max(log_p.max(), log_q.max()) < -700:
        numbers = np.asarray(getattr(value, "detach", lambda: value)())
        if numbers.dtype.kind == "f" and numbers.shape == log_p.shape and np.isnan(numbers).any():
            return (
                "Where both densities are below the smallest number, you divide 0 by 0: use the "
                "difference of the logarithms."
            )
    odds = log_p - log_q
    with np.errstate(over="ignore"):
        mistakes = [
            (expit(-odds), "That is the probability of being fake."),
            (odds > 0, "That is a decision: a probability says how sure one may be."),
            (odds, "That is the logit: turn it into a probability."),
            (-np.logaddexp(0, -odds), "That is the logarithm of the probability."),
        ]
        if log_p.max() > -700:
            p, q = np.exp(log_p), np.exp(log_q)
            mistakes += [
                (p / q, "Those are odds, p over q: a probability divides by the sum."),
                (log_p / (log_p + log_q), "You divided logarithms: take exponentials first."),
                (p, "That is the density of real samples: compare it with the other."),
            ]
    return diagnose(value, expit(odds), "The probability", mistakes)


@exercise(
    "14-r1",
    hint="Which straight line in x is the derivative of the best logit? The mean of its square is "
    "the square of its mean plus its variance, under the real samples.",
)
def _r1(answer):
    cases = (1.5, 0.7, 1.2), (-0.8, 2.0, 0.5), (2.0, 0.6, 0.6)
    return first_fault(answer, "answer(theta, std, fake_std)", cases, _r1_fault)


def _r1_fault(value, theta, std, fake_std):
    """Say what is wrong with a penalty."""
    slope, offset = 1 / fake_std**2 - 1 / std**2, -theta / fake_std**2
    spread = std**2 * slope**2
    return diagnose(
        value,
        offset**2 + spread,
        "The penalty",
        [
            ((offset**2 + spread) / 2, "The half belongs to the weight, not to the penalty."),
            (offset**2, "You squared the mean slope: slopes also vary over real samples."),
            (abs(offset), "That is the length of the mean slope: R1 squares every slope."),
            (
                offset**2 + slope**2,
                "The slope's variance over real samples needs their own variance, too.",
            ),
            (
                offset**2 + std**2 * slope,
                "What stands before x is squared in the variance of the slope.",
            ),
            (spread, "You took their variance: the slopes' mean counts as well."),
            (
                (slope * theta + offset) ** 2 + fake_std**2 * slope**2,
                "That is the mean over fake samples: R1 looks at real ones.",
            ),
            (np.sqrt(offset**2 + spread), "That is a root: R1 takes the squared slope."),
            (
                (theta / fake_std) ** 2 + std**2 * (1 / fake_std - 1 / std) ** 2,
                "Densities divide by variances, not by standard deviations.",
            ),
            (
                offset**2 + std * slope**2,
                "The variance of a slope times x is its square times the variance of x.",
            ),
            (
                offset**2 + std**2 * (1 / fake_std**2 + 1 / std**2) ** 2,
                "The two log densities are subtracted, not added.",
            ),
        ],
    )


@exercise(
    "14-step",
    hint="Five lines: make fakes, cut their graph, add the two mean losses, clear old gradients "
    "before the new ones come, and let the optimizer move.",
)
def _step(answer):
    fault = function_fault(answer, "answer(generator, discriminator, optimizer, real, z)")
    if fault is not None:
        return fault
    # Only here: whoever does other chapters' exercises need not wait for torch.
    import torch

    from gmmlearn.deep.training import seeded

    with seeded(0):
        nets = [torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh()) for _ in range(2)]
        nets[0].append(torch.nn.Linear(4, 2))
        nets[1].append(torch.nn.Linear(4, 1)).append(torch.nn.Flatten(0))
        real, z = torch.randn(9, 2) + 1, torch.randn(5, 2)
        generator, discriminator = (copy.deepcopy(net) for net in nets)
        for before, after in zip(nets, (generator, discriminator), strict=True):
            for p, q in zip(before.parameters(), after.parameters(), strict=True):
                p.grad = torch.randn_like(p)  # left over from another step
                q.grad = p.grad.clone()
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)
    value, fault = call(answer, generator, discriminator, optimizer, real.clone(), z.clone())
    if fault is not None:
        return fault
    return _step_fault(value, generator, discriminator, nets, real, z)


def _step_fault(value, generator, discriminator, nets, real, z):
    """Say what is wrong with a step, from the networks after it and before it."""
    before_g, before_d = nets
    pairs = list(zip(generator.parameters(), before_g.parameters(), strict=True))
    if not all(p.equal(q) for p, q in pairs):
        return "The generator's parameters have moved: this step is the discriminator's."
    right, moves = _by_hand(before_g, before_d, real, z)
    fault = diagnose(value, right, "The loss", _wrong_losses(before_g, before_d, real, z), 1e-5)
    if fault is not None:
        return fault
    if _moved_by(discriminator, before_d, [0.0 for _ in before_d.parameters()]):
        return (
            "The discriminator has not moved: step() comes after backward(), with no zero_grad() "
            "between them."
        )
    if not all(p.grad is not None and p.grad.equal(q.grad) for p, q in pairs):
        return "The generator's gradients have changed: detach the fakes from its graph."
    if _moved_by(discriminator, before_d, moves):
        return None
    stale = [m - 0.1 * q.grad for m, q in zip(moves, before_d.parameters(), strict=True)]
    if _moved_by(discriminator, before_d, stale):
        return "Gradients left over from before are in the step: zero_grad() comes first."
    if _moved_by(discriminator, before_d, [-m for m in moves]):
        return "The step goes uphill: minimise the loss."
    return "The loss is right, but the discriminator has not moved down its gradient."


def _by_hand(generator, discriminator, real, z):
    """Return the loss, and the move of each parameter by SGD."""
    import torch

    softplus = torch.nn.functional.softplus
    fake = generator(z).detach()
    loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
    slopes = torch.autograd.grad(loss, list(discriminator.parameters()))
    return loss.item(), [-0.1 * slope for slope in slopes]


def _wrong_losses(generator, discriminator, real, z):
    """Return the losses that people have instead, each with its remark."""
    real, fake = (discriminator(x).detach().double() for x in (real, generator(z)))
    from_real, from_fake = (-real).exp().log1p(), fake.exp().log1p()
    squashed = (-real.sigmoid()).exp().log1p().mean() + fake.sigmoid().exp().log1p().mean()
    return [
        (from_real.mean(), "The fakes have no say in the loss."),
        (from_fake.mean(), "The real samples have no say in the loss."),
        (from_real.sum() + from_fake.sum(), "Take means over samples, not sums."),
        ((1 - real).relu().mean() + (1 + fake).relu().mean(), "That is the hinge loss."),
        ((from_real.mean() + from_fake.mean()) / 2, "Add the two means, do not average."),
        (
            (from_real.sum() + from_fake.sum()) / (len(real) + len(fake)),
            "Average real and fake samples each on their own: there are not equally many.",
        ),
        (
            real.exp().log1p().mean() + (-fake).exp().log1p().mean(),
            "Real and fake are exchanged in the loss.",
        ),
        (squashed, "The discriminator gives logits, and you took the sigmoid of them twice."),
    ]


def _moved_by(network, before, moves):
    """Return whether each parameter has moved by so much."""
    pairs = zip(network.parameters(), before.parameters(), moves, strict=True)
    return all((p - q - move).abs().max().item() < 1e-6 for p, q, move in pairs)
