"""Training: one loop for every model; what a step does is the model's own."""

import contextlib
import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from gmmlearn._validation import as_count, as_level
from gmmlearn.deep import ranks
from gmmlearn.deep.batches import as_batch_size, as_data, describe_data, draw_batches
from gmmlearn.deep.checkpoints import read_checkpoint
from gmmlearn.deep.devices import choose_device, name_device, own_globals, seeded
from gmmlearn.deep.running import Diverged, Run, Trained
from gmmlearn.progress import make_bar

__all__ = ["Diverged", "Trained", "choose_device", "name_device", "seeded", "train"]
_CHECK_EVERY = 100
"""Steps between two looks at the losses: each look waits for the device."""


def train(
    step,
    X,
    *,
    modules,
    optimizers,
    n_steps,
    batch_size,
    schedulers=None,
    average=None,
    seed=0,
    device="auto",
    bf16=False,
    compile=False,
    progress=None,
    checkpoint=None,
    checkpoint_every=1000,
):
    """Train modules, in place, by repeating a step on batches of data.

    The same seed on the same machine gives the same history. Batches are drawn without replacement,
    epoch by epoch (see `batches.draw_batches`). All data is moved to the device at once.

    Parameters
    ----------
    step : function (batch, rng) -> dict of str to tensor ()
        One step: forward, backward and the optimizers' steps. `rng` is a torch.Generator on the
        device and the step's source of noise: ``torch.randn(8, device=rng.device, generator=rng)``.
        What it returns goes into the history: the same names at each step. A number taken with
        ``.item()`` would wait for the device at each step; return the tensor.
    X : array or tensor (N, ...), or a tuple of such of equal length
        Copied to the device, numbers with a point in the modules' precision. A batch has the same
        form.
    modules : dict of str to nn.Module
        Whatever the step changes. They stay on the device afterwards. Modes are left alone: call
        ``.train()`` before if a module behaves differently in training.
    optimizers : dict of str to Optimizer
        Of parameters of `modules`. With small networks much of a step is the optimizer's:
        ``Adam(..., fused=True)`` spends less.
    n_steps : int
        Steps in all, those of a checkpoint included.
    batch_size : int
        B, at least 2.
    schedulers : dict of str to LRScheduler, optional
        The loop steps them, once after each step.
    average : dict of str to float, optional
        Names of modules, and how much of the exponential average stays at each step: 0.999 looks
        back on about a thousand steps. The average starts at the weights after the first step.
    seed : int
        Settles batches and noise; torch's global generators too, while training (dropout uses
        them), and puts them back.
    device : str or torch.device
        See `choose_device`.
    bf16 : bool
        Whether the step computes in bfloat16 where torch's autocast deems it safe. Weights stay as
        they are. Meant for wide layers on a GPU: the small networks of the book, on a CPU, are
        slower with it (``recorded.load("training")``).
    compile : bool
        Whether ``torch.compile`` compiles the networks in `modules` for the run: each
        nn.Sequential on its own, or the whole module where it holds none. It begins with half a
        minute of compiling, which small networks never win back. A compiled network has no second
        derivatives: a gradient penalty such as R1 needs False.
    progress : bool, optional
        Whether a bar shows. By default it does in a terminal, and not in a notebook.
    checkpoint : str or Path, optional
        A file that keeps the state of the run. If it exists, training continues from it and ends
        with the same weights and history, bit for bit, as a run that was never broken off. Ctrl-C
        leaves a file to continue from. With more `n_steps` it goes on, unless a schedule was
        planned for fewer.
    checkpoint_every : int
        Steps between two writings; the end is written too.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        If an argument is of no use, or the checkpoint belongs to another run.
    Diverged
        If a returned quantity, a weight or an optimizer's state is not finite. Modules, optimizers,
        schedulers and averages are then as they were at the last good check.

    Examples
    --------
    >>> line = torch.nn.Linear(1, 1)
    >>> optimizer = torch.optim.SGD(line.parameters(), lr=0.5)
    >>> def step(batch, rng):
    ...     x, y = batch
    ...     loss = (line(x) - y).square().mean()
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return {"loss": loss}
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> trained = train(step, (x, 3 * x), modules={"line": line}, optimizers={"sgd": optimizer},
    ...                 n_steps=200, batch_size=10, device="cpu")
    >>> round(line.weight.item(), 3), trained.history["loss"].shape
    (3.0, (200,))
    """
    began = perf_counter()
    n_steps = as_count(n_steps, "n_steps")
    checkpoint_every = as_count(checkpoint_every, "checkpoint_every")
    seed, device = as_count(seed, "seed", at_least=0), choose_device(device)
    schedulers, average = schedulers or {}, average or {}
    _require_named(modules, torch.nn.Module, "modules")
    _require_named(optimizers, torch.optim.Optimizer, "optimizers")
    _require_owned(optimizers, modules)
    _require_averages(average, modules)
    data = as_data(X, _precision(modules))
    batch_size = as_batch_size(batch_size, len(data[0]))
    settings = {"bf16": bool(bf16), "compile": bool(compile), "seed": seed}
    settings |= {"batch_size": batch_size, "device": device.type}
    if checkpoint is not None:
        _require_folder(checkpoint)
        settings |= _describe(data, modules, optimizers, schedulers, average)
    data = tuple(part.to(device) for part in data)
    # Apart for any two seeds: a run with the next seed must not see the same epochs, one later.
    of_batches, of_step, of_globals = _derive(seed)
    run = Run(modules, optimizers, schedulers, average, device, of_step, n_steps)
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_globals(device, of_globals))
        if checkpoint is not None and os.path.exists(checkpoint):
            run.resume(checkpoint, read_checkpoint(checkpoint, settings))
        run.begin()
        run.bar = stack.enter_context(_bar(progress, n_steps, run.n_done))
        if compile:
            stack.enter_context(_compiled(modules.values()))
        if bf16:
            # Without the cache: a GAN's step uses weights again after it has changed them.
            stack.enter_context(torch.autocast(device.type, torch.bfloat16, cache_enabled=False))
        batches = draw_batches(data, batch_size, of_batches, run.n_done)
        if not isinstance(X, tuple):
            batches = (part for (part,) in batches)
        run.began = began
        _repeat(run, step, batches, checkpoint, checkpoint_every, settings)
    return run.result()


def _repeat(run, step, batches, checkpoint, checkpoint_every, settings):
    """Take steps to the end, and write a checkpoint now and then."""
    try:
        while not run.finished:
            n_next = _next_stop(run.n_done, checkpoint_every, run.n_steps)
            run.take(step, batches, n_next - run.n_done)
            if checkpoint is not None and (run.n_done % checkpoint_every == 0 or run.finished):
                run.save(checkpoint, settings)
    except KeyboardInterrupt:  # in the middle of a step, perhaps
        run.restore()
        if checkpoint is not None and run.n_done:
            run.save(checkpoint, settings)
        raise


@contextlib.contextmanager
def _compiled(modules):
    """Compile networks in place for a while."""
    networks = [n for module in modules for n in _sequences(module) or [module]]
    networks = [n for n in networks if n._compiled_call_impl is None]  # not by the caller
    for network in networks:
        network.compile()
    try:
        yield
    finally:
        for network in networks:
            network._compiled_call_impl = None


def _sequences(module):
    """Return the outermost sequences of layers in a module."""
    if isinstance(module, torch.nn.Sequential):
        return [module]
    return [sequence for child in module.children() for sequence in _sequences(child)]


@contextlib.contextmanager
def _bar(progress, n_steps, n_done):
    """Yield a bar if one is wanted and tqdm is there, or None."""
    if progress is None:
        progress = sys.stderr.isatty() and not _in_notebook()
    shown = progress and ranks.is_first()
    bar = make_bar("Training", n_steps, unit="step", initial=n_done) if shown else None
    with contextlib.nullcontext() if bar is None else bar:
        yield bar


def _in_notebook():
    """Return whether this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _next_stop(n_done, checkpoint_every, n_steps):
    """Return how many steps are done at the next check or checkpoint."""
    return min(
        *((n_done // every + 1) * every for every in (_CHECK_EVERY, checkpoint_every)), n_steps
    )


def _derive(seed):
    """Return three seeds that have nothing to do with each other, nor with the next seed's."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(3)]


def _precision(modules):
    """Return the type of the modules' numbers."""
    parameters = (p for module in modules.values() for p in module.parameters())
    kinds = (p.dtype for p in parameters if p.is_floating_point())
    return next(kinds, torch.get_default_dtype())


def _require_named(holders, kind, name):
    """Raise unless `holders` is a non-empty dict of str to `kind`."""
    fits = isinstance(holders, dict) and holders
    if not fits or not all(isinstance(value, kind) for value in holders.values()):
        raise ValueError(
            f"{name} must be a dict of names to {kind.__name__}s, such as {{'net': net}}, got "
            f"{holders!r}."
        )


def _require_owned(optimizers, modules):
    """Raise if an optimizer changes a parameter that is in no module."""
    owned = {id(p) for module in modules.values() for p in module.parameters()}
    for name, optimizer in optimizers.items():
        theirs = [p for group in optimizer.param_groups for p in group["params"]]
        foreign = [tuple(p.shape) for p in theirs if id(p) not in owned]
        if foreign:
            raise ValueError(
                f"optimizers[{name!r}] changes parameters of shapes {foreign} that belong to none "
                "of modules. Add the module that holds them: it must move to the device, and into "
                "checkpoints."
            )


def _require_averages(average, modules):
    """Raise if `average` names no module, or a decay is not between 0 and 1."""
    for name, decay in average.items():
        if name not in modules:
            raise ValueError(f"average names {name!r}, but modules has only {list(modules)}.")
        as_level(decay, f"average[{name!r}]", 0.999)


def _require_folder(checkpoint):
    """Raise before the work, not after it, if a checkpoint could not be written."""
    folder = Path(checkpoint).parent
    if not folder.is_dir():
        raise ValueError(f"checkpoint is to be in {folder}, which is no folder. Make it first.")


def _describe(data, modules, optimizers, schedulers, average):
    """Return what a checkpoint's run must have in common with another, as text."""
    described = {"X": describe_data(data)}
    for name, module in modules.items():
        shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        described[f"modules[{name!r}]"] = f"{type(module).__name__} of {shapes}"
    for name, optimizer in optimizers.items():
        # A schedule changes "lr" and keeps what it was as "initial_lr".
        settings = [
            {k: v for k, v in group.items() if k not in ("params", "lr", "initial_lr")}
            | {"lr": group.get("initial_lr", group["lr"])}
            for group in optimizer.param_groups
        ]
        described[f"optimizers[{name!r}]"] = f"{type(optimizer).__name__} of {settings}"
    for name, scheduler in schedulers.items():
        described[f"schedulers[{name!r}]"] = f"{type(scheduler).__name__} of {_plan(scheduler)}"
    return described | {f"average[{name!r}]": decay for name, decay in average.items()}


def _plan(scheduler):
    """Return what a scheduler was made with, without how far it has come."""
    plan = {"milestones": getattr(scheduler, "_milestones", [])}
    plan |= {name: value for name, value in vars(scheduler).items() if not name.startswith("_")}
    plan |= {"parts": [_plan(part) for part in getattr(scheduler, "_schedulers", [])]}
    moving = ("last_epoch", "T_cur", "T_i", "optimizer")
    # A function shows its address, which is another one in each process.
    return {
        k: v for k, v in plan.items() if k not in moving and v != [] and " at 0x" not in repr(v)
    }
