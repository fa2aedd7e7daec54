"""Say how a long fit goes."""

from time import perf_counter

BAR = {"unit": "iteration", "delay": 2, "leave": False}
"""How the bar looks; it shows itself after so many seconds, and goes when the fit is done."""


class Progress:
    """Say how a fit goes: scikit-learn's lines, or a bar if tqdm is there and `verbose` is 1."""

    def __init__(self, verbose, interval, shift, max_iter):
        self.verbose, self.interval, self.shift = int(verbose), interval, shift
        self.max_iter, self.bar = max_iter, None
        self.began = self.last = perf_counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Close the bar, also if the fit was broken off."""
        if self.bar is not None:
            self.bar.close()

    def start(self, number):
        """Announce initialization `number`."""
        self.began = self.last = perf_counter()
        if self.verbose == 1:
            self.bar = make_bar(f"Initialization {number}", self.max_iter)
        if self.verbose and self.bar is None:
            print(f"Initialization {number}")

    def iteration(self, number, change, bound):
        """Report iteration `number`."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"bound {bound + self.shift:.5f}", refresh=False)
            self.bar.update()
        elif self.verbose and number % self.interval == 0:
            now = perf_counter()
            detail = f"\t time lapse {now - self.last:.5f}s\t ll change {change:.5f}"
            print(f"  Iteration {number}" + (detail if self.verbose > 1 else ""))
            self.last = now

    def end(self, bound, converged):
        """Report the end of an initialization."""
        if self.bar is not None:
            self.bar.close()
        elif self.verbose:
            taken = perf_counter() - self.began
            detail = f" time lapse {taken:.5f}s\t lower bound {bound + self.shift:.5f}."
            how = "converged" if converged else "did not converge"
            print(f"Initialization {how}." + (detail if self.verbose > 1 else ""))


def make_bar(description, total, **look):
    """Make a tqdm bar that shows itself after a while.

    Parameters
    ----------
    description : str
    total : int
        Iterations in all.
    **look
        tqdm's settings, over those of `BAR`.

    Returns
    -------
    tqdm or None
        None without tqdm.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=description, **BAR | look)
