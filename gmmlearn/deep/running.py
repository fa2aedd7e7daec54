"""A training run: its state, a copy of the last good one, and what was met on the way."""

import copy
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gmmlearn.deep import ranks
from gmmlearn.deep.checkpoints import write_checkpoint


class Trained(NamedTuple):
    """What a training run gives, besides the modules that it has changed."""

    history: dict
    """Each quantity that the step returned, as a float64 array (n_steps,)."""
    averaged: dict
    """The modules named in `average` with averaged weights, in evaluation mode."""
    device: torch.device
    """Where it ran; `devices.name_device` gives it a name."""
    seconds: float
    """How long it took, with the time before a resumption."""


class Diverged(RuntimeError):
    """Training met a number that is not finite; modules and optimizers are at a good state.

    Attributes
    ----------
    step : int
        The step that met it, as an index of the history.
    quantity : str
        What is not finite.
    history : dict of str to array (step + 1,)
        As in `Trained`, up to that step.
    """

    def __init__(self, message, step, quantity, history):
        super().__init__(message)
        self.step, self.quantity, self.history = step, quantity, history


class Run:
    """The state of a training run, and a copy of its last good one."""

    def __init__(self, modules, optimizers, schedulers, average, device, seed, n_steps):
        self.device, self.n_steps, self.n_done = device, n_steps, 0
        for module in modules.values():
            module.to(device)
        for optimizer in optimizers.values():
            if optimizer.state:  # from an earlier run, perhaps on another device
                optimizer.load_state_dict(optimizer.state_dict())
        averages = {
            name: AveragedModel(modules[name], multi_avg_fn=get_ema_multi_avg_fn(decay))
            for name, decay in average.items()
        }
        self.averaging = [(averages[name], modules[name]) for name in average]
        self.holders = {
            "modules": modules,
            "optimizers": optimizers,
            "schedulers": schedulers,
            "averages": averages,
        }
        self.rng = torch.Generator(device).manual_seed(seed)
        self.names, self.values = None, None
        self.began, self.seconds_before = 0.0, 0.0
        self.good, self.bar = None, None

    @property
    def finished(self):
        """Whether all steps are done."""
        return self.n_done == self.n_steps

    def take(self, step, batches, n_steps):
        """Take so many steps, then look at what they gave."""
        rows, rng, averaging, bar = [], self.rng, self.averaging, self.bar
        schedulers = list(self.holders["schedulers"].values())
        try:
            for _ in range(n_steps):
                quantities = step(next(batches), rng)
                if self.names is None or quantities.keys() != self.names:
                    self._require_quantities(quantities)
                rows.append(torch.stack([quantities[name].detach() for name in self.names]))
                for average, module in averaging:
                    average.update_parameters(module)
                for scheduler in schedulers:
                    scheduler.step()
                if bar is not None:
                    bar.update()
        except Exception:
            # A matrix of NaN has no Cholesky factor: then say so, not what came of it.
            self._require_finite(rows, self.n_done + len(rows))
            raise
        # All processes see the same history, and stop together.
        rows = [*ranks.mean(torch.stack(rows))]
        self._require_finite(rows, self.n_done + n_steps - 1)
        self.n_done += n_steps
        if bar is not None:
            last = self.values[:, self.n_done - 1]
            pairs = zip(self.names, last, strict=True)
            bar.set_postfix_str(", ".join(f"{name} {value:.4g}" for name, value in pairs))
        self.keep()

    def _require_quantities(self, quantities):
        """Raise unless a step returned a dict of tensors without axes, named as before."""
        if not isinstance(quantities, dict) or not quantities:
            raise ValueError(
                f"step returned {type(quantities).__name__}, expected a dict such as "
                '{"loss": loss}.'
            )
        for name, value in quantities.items():
            if not isinstance(value, torch.Tensor) or value.ndim:
                kind = type(value).__name__
                shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
                raise ValueError(
                    f"step returned {name!r} as {kind}{shape}, expected a tensor without axes, "
                    "such as a mean over the batch; without .item(), which waits for the device."
                )
        if self.names is not None and quantities.keys() != set(self.names):
            raise ValueError(
                f"step returned {list(quantities)}, but {list(self.names)} before. Return the same "
                "names at each step, 0 where there is nothing to tell."
            )
        if self.names is None:
            self.names = quantities.keys()
            self.values = np.empty((len(self.names), self.n_steps))

    def _require_finite(self, rows, last_step):
        """Write quantities to the history; if a number is not finite, go back and say so."""
        n_known = self.n_done + len(rows)
        if rows:
            values = torch.stack(rows).cpu().double().numpy().T
            self.values[:, self.n_done : n_known] = values
            bad = ~np.isfinite(values)
            if bad.any():
                place = int(bad.any(axis=0).argmax())
                which = int(bad[:, place].argmax())
                fault = "is NaN" if np.isnan(values[which, place]) else "is infinite"
                step = self.n_done + place
                self._give_up(step, list(self.names)[which], fault, self.history(step + 1))
        for quantity in self._spoilt():
            self._give_up(last_step, quantity, "are not all finite", self.history(n_known))

    def _spoilt(self):
        """Yield the names of what training changes and is not finite."""
        for kind, name, tensors in self._weights():
            # A sum is finite only if all its terms are; it is one pass and needs no memory.
            if tensors and not torch.stack([t.detach().sum() for t in tensors]).isfinite().all():
                yield f"{kind} of {name!r}"

    def _weights(self):
        """Yield kind, name and tensors on the device of everything that training changes."""
        for name, module in self.holders["modules"].items():
            yield "weights", name, list(module.parameters())
        for name, optimizer in self.holders["optimizers"].items():
            values = [v for state in optimizer.state.values() for v in state.values()]
            tensors = [v for v in values if isinstance(v, torch.Tensor)]
            # Adam counts its steps on the CPU.
            yield "moments", name, [v for v in tensors if v.device.type == self.device.type]

    def _give_up(self, step, quantity, fault, history):
        """Restore the last good state and raise Diverged."""
        rates = ", ".join(
            f"{name} {group['lr']:.3g}"
            for name, optimizer in self.holders["optimizers"].items()
            for group in optimizer.param_groups
        )
        self.restore()
        raise Diverged(
            f"Training diverged: {quantity} {fault} at step {step} of {self.n_steps}, counted from "
            f"0. Lower the learning rate ({rates}), clip gradients before the optimizer's step "
            "(torch.nn.utils.clip_grad_norm_), or turn bf16 off if it is on. Modules, optimizers, "
            f"schedulers and averages are as they were after {self.n_done} steps.",
            step,
            quantity,
            history,
        )

    def begin(self):
        """Keep the state before the first step, if it is a good one."""
        for quantity in self._spoilt():
            raise ValueError(
                f"modules cannot be trained: {quantity} are not all finite before the first step. "
                "Make modules and optimizers anew."
            )
        self.keep()

    def keep(self):
        """Keep a copy of the present state as the last good one."""
        generators = {"step": self.rng.get_state(), "global": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        state = {
            kind: {name: holder.state_dict() for name, holder in holders.items()}
            for kind, holders in self.holders.items()
        }
        self.good = _copied(state | {"generators": generators, "n_done": self.n_done})

    def restore(self):
        """Go back to the last good state."""
        state = _copied(self.good)  # an optimizer adopts the tensors that it is given
        for kind, holders in self.holders.items():
            for name, holder in holders.items():
                holder.load_state_dict(state[kind][name])
        generators = state["generators"]
        self.rng.set_state(generators["step"])
        torch.set_rng_state(generators["global"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(generators["cuda"], self.device)
        self.n_done = state["n_done"]

    def save(self, path, settings):
        """Write the last good state to a file; of several processes, the first one does."""
        if not ranks.is_first():
            return
        history = {name: torch.from_numpy(v) for name, v in self.history(self.n_done).items()}
        seconds = self.seconds_before + perf_counter() - self.began
        write_checkpoint(path, self.good | {"history": history, "seconds": seconds}, settings)

    def resume(self, path, state):
        """Go on from what `save` wrote."""
        history, self.seconds_before = state.pop("history"), state.pop("seconds")
        if state["n_done"] > self.n_steps:
            raise ValueError(
                f"n_steps is {self.n_steps}, but checkpoint {path} holds {state['n_done']} steps. "
                "Ask for at least as many, or delete the file or name another to start anew."
            )
        self.names = history.keys()
        self.values = np.empty((len(history), self.n_steps))
        for row, past in zip(self.values, history.values(), strict=True):
            row[: len(past)] = past.numpy()
        self.good = state
        self.restore()

    def history(self, n_steps):
        """Return the history of the first steps."""
        if self.names is None:
            return {}
        return {n: row[:n_steps].copy() for n, row in zip(self.names, self.values, strict=True)}

    def result(self):
        """Return what `train` returns."""
        averaged = {
            name: average.module.eval().requires_grad_(False)
            for name, average in self.holders["averages"].items()
        }
        seconds = self.seconds_before + perf_counter() - self.began
        return Trained(self.history(self.n_steps), averaged, self.device, seconds)


def _copied(tree):
    """Return nested containers with copies of their tensors."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        same = copy.copy(tree)  # some are counters, and must stay so
        for key, value in tree.items():
            same[key] = _copied(value)
        return same
    if isinstance(tree, list | tuple):
        return type(tree)(_copied(value) for value in tree)
    return tree
