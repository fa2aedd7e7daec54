"""Checkers for the exercises of chapter 16."""

import numpy as np

from gmmlearn.exercises import diagnose, exercise, first_fault


@exercise(
    "16-count",
    hint="How many numbers come out, and how many products is each the sum of? The side of what "
    "comes out is (side + 2 padding - kernel) divided by the stride, rounded down, plus one.",
)
def _count(answer):
    cases = (64, 3, 20, 4, 2, 1), (32, 16, 8, 3, 1, 1), (28, 5, 7, 5, 1, 0), (30, 6, 4, 3, 2, 0)
    return first_fault(
        answer, "answer(side, n_in, n_out, kernel, stride, padding)", cases, _count_fault
    )


def _count_fault(value, side, n_in, n_out, kernel, stride, padding):
    """Say what is wrong with a count of multiply-adds."""
    out = (side + 2 * padding - kernel) // stride + 1
    one = kernel**2 * n_in * n_out
    unpadded = (side - kernel) // stride + 1
    return diagnose(
        value,
        out**2 * one,
        "The count",
        [
            (one, "Those are the weights: each is used at every place that goes out."),
            (side**2 * one, "You counted at every place that comes in: count what goes out."),
            (out * one, "A picture has two sides: the places that go out are a square."),
            (out**2 * one // n_in, "Each number sums over all channels that come in."),
            (out**2 * one // n_out, "That is one channel: there are more that go out."),
            (out**2 * one // kernel, "The kernel has two sides, too."),
            (2 * out**2 * one, "Those are operations: a multiply-add counts once here."),
            (unpadded**2 * one, "Padding makes what goes out larger."),
            (out**2 * (one + n_out), "Biases are left out: they multiply nothing."),
        ],
    )


@exercise(
    "16-roof",
    hint="Two things must be done, and the device does both at once. When is it through?",
)
def _roof(answer):
    cases = (8e9, 1e6, 2e10, 1e10), (1e8, 4e9, 2e10, 1e10), (3e9, 2e9, 1.5e11, 3e9)
    return first_fault(answer, "answer(work, n_bytes, rate, bandwidth)", cases, _roof_fault)


def _roof_fault(value, work, n_bytes, rate, bandwidth):
    """Say what is wrong with a least time."""
    times = work / rate, n_bytes / bandwidth
    speed = min(rate, bandwidth * work / n_bytes)
    return diagnose(
        value,
        max(times),
        "The time",
        [
            (min(times), "The shorter of the two times is not enough: both must be done."),
            (sum(times), "You added the times: a device moves and multiplies at once."),
            (sum(times) / 2, "A mean of two times bounds nothing: the longer one does."),
            (speed, "That is the speed under the roof: divide the work by it."),
            (work / n_bytes, "That is the intensity, which has no seconds in it."),
            (1 / max(times), "Seconds are work over rate, not rate over work."),
            (work / bandwidth, "Work goes with the rate, bytes go with the bandwidth."),
        ],
    )


@exercise(
    "16-shares",
    hint="Write the mean over the whole batch as a sum over shares of sums over samples: what "
    "stands before each share's own mean?",
)
def _shares(answer):
    def case(seed):
        rng = np.random.default_rng(seed)
        return rng.standard_normal((3 + seed, 3 + seed)), rng.permutation(3 + seed) * 5 + 2

    return first_fault(answer, "answer(gradients, sizes)", map(case, range(3)), _shares_fault)


def _shares_fault(value, gradients, sizes):
    """Say what is wrong with the gradient of a whole batch."""
    return diagnose(
        value,
        sizes @ gradients / sizes.sum(),
        "The gradient",
        [
            (gradients.mean(axis=0), "The shares differ in size: a larger one counts for more."),
            (gradients.sum(axis=0), "That is the sum: with more processes the step would grow."),
            (
                sizes @ gradients,
                "That is the gradient of a sum over samples: divide by their number.",
            ),
            (sizes @ gradients / len(sizes), "Divide by the number of samples, not of processes."),
            (gradients @ sizes / sizes.sum(), "You averaged over parameters: rows are processes."),
            (gradients[0], "That is the first process alone."),
            ((1 / sizes) @ gradients / (1 / sizes).sum(), "A larger share counts more, not less."),
        ],
    )


@exercise(
    "16-bf16",
    hint="Write |x| as m times a power of two, with m from 1 to 2. The fraction has seven bits: "
    "into how many steps do they cut that interval?",
)
def _bf16(answer):
    cases = [
        (np.array([1.0, 1.9, 2.0, 0.05, 300.0]),),
        (np.array([-20.0, 1e-3, 5.0, -0.7]),),
    ]
    return first_fault(answer, "answer(x)", cases, _bf16_fault)


def _bf16_fault(value, x):
    """Say what is wrong with spacings of bf16."""
    exponent = np.floor(np.log2(np.abs(x)))
    right = 2.0 ** (exponent - 7)
    return diagnose(
        value,
        right,
        "The spacing",
        [
            (right / 2, "That is half of it: seven bits are stored, the leading one is not."),
            (2 * right, "That is twice the spacing: count the bits of the fraction again."),
            (right / 2**3, "That is the spacing of float16, whose fraction has ten bits."),
            (right / 2**16, "That is the spacing of float32, whose fraction has 23 bits."),
            (np.full(x.shape, 2.0**-7), "That is the spacing at 1: it grows with the number."),
            (2.0 ** (np.ceil(np.log2(np.abs(x))) - 7), "Round the exponent down, not up."),
            (np.abs(x) * 2.0**-7, "Between two powers of two the spacing does not change."),
            (2.0 ** (exponent + 7), "More bits make steps smaller: the exponent loses seven."),
            (np.sign(x) * right, "A spacing is positive, also below zero."),
            (2.0**exponent, "That is the power of two below |x|: its interval is cut further."),
        ],
    )
