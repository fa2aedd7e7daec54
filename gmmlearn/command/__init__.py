"""The command ``python -m gmmlearn``: what it is asked, and how it says that something failed.

Only the standard library is imported here: what a job needs is imported when it is asked for.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

DONE, FAILED, BROKEN_OFF = 0, 1, 130
"""Exit codes; wrong usage is argparse's 2."""

_EXAMPLES = """
examples:
  python -m gmmlearn sample digits --component 3 -n 64 -o ones.png
  python -m gmmlearn draw "a spring morning with two trees" -n 16 -o spring.png
  python -m gmmlearn restore noisy.png --noise-std 0.1 -o clean.png
  python -m gmmlearn restore scratched.png --mask holes.png -o filled.png
  python -m gmmlearn train scenes --side 64 -o run
  torchrun --nproc-per-node 2 -m gmmlearn train digits -o run

"python -m gmmlearn sample --help" says more of one; exit codes: 0 done, 1 failed, 2 wrong usage
"""


def main(arguments=None):
    """Do what the arguments ask for.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the command line.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed; wrong usage exits with 2.
    """
    parser = make_parser()
    asked = parser.parse_args(arguments)
    try:
        if asked.job != "train":
            _require_free(asked.output, asked.force)
        said = getattr(import_module("gmmlearn.command.jobs"), asked.job)(asked)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        print(f"{parser.prog} {asked.job}: {_told(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{parser.prog} {asked.job}: broken off", file=sys.stderr)
        return BROKEN_OFF
    if said:
        print(said)
    return DONE


def make_parser():
    """Return the parser of the whole command.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        prog="python -m gmmlearn",
        description="Draw pictures, draw what words ask for, repair photographs, train.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")

    sample = _add(jobs, "sample", "draw pictures with a trained generator", "sheet.png")
    sample.add_argument("model", help="digits, seasons, or the folder of a run of train")
    sample.add_argument("--component", type=_count(0), help="draw all from this component")

    draw = _add(jobs, "draw", "draw scenes that words ask for", "scenes.png")
    draw.add_argument("text", help='such as "a spring morning with two trees"')
    for job in (sample, draw):
        job.add_argument("-n", type=_count(1), default=16, help="how many (16)")
        job.add_argument("--seed", type=_count(0), default=0, help="the same draws the same (0)")

    _add_restore(jobs)
    _add_train(jobs)
    return parser


def _add_restore(jobs):
    """Add the job that repairs photographs."""
    restore = _add(jobs, "restore", "remove noise from a photograph, or fill holes", "clean.png")
    restore.add_argument("photo", type=Path, help="a PNG, or an NPZ with pixels in [0, 1]")
    fault = restore.add_mutually_exclusive_group(required=True)
    fault.add_argument(
        "--noise-std", type=_noise, help="standard deviation of the noise, for pixels in [0, 1]"
    )
    fault.add_argument(
        "--mask", type=Path, help="a picture of the same size, white where holes are"
    )
    restore.add_argument(
        "--prior",
        choices=("china", "flower"),
        default="china",
        help="the photograph that the patches were learned from (china)",
    )


def _add_train(jobs):
    """Add the job that trains."""
    train = _add(jobs, "train", "train a GMM-GAN, from pictures to weights", "run", folder=True)
    train.add_argument("data", choices=("digits", "scenes"), help="what it learns to draw")
    train.add_argument("--side", type=int, choices=(32, 64), default=64, help="of scenes (64)")
    counts = {
        "pictures": ("n_pictures", 10_000, "to train on, at most"),
        "width": ("width", 32, "channels next to the pixels"),
        "latent-dim": ("latent_dim", 32, "numbers of a code"),
        "code-steps": ("code_steps", 3000, "steps of the autoencoder"),
        "steps": ("n_steps", 5000, "steps of the game"),
        "batch-size": ("batch_size", 64, "pictures in a batch, of all processes together"),
        "checkpoint-every": ("checkpoint_every", 500, "steps between two writings"),
    }
    for option, (name, default, purpose) in counts.items():
        told = f"{purpose} ({default})"
        train.add_argument(f"--{option}", dest=name, type=_count(1), default=default, help=told)
    train.add_argument(
        "--components", type=_count(1), nargs="+", default=(10, 20, 40), help="to choose from"
    )
    train.add_argument("--seed", type=_count(0), default=0, help="the same run the same (0)")
    train.add_argument("--device", default="auto", help="cuda, mps or cpu (the first there is)")
    train.add_argument("--bf16", action="store_true", help="compute networks in bfloat16")


def _add(jobs, name, purpose, default, folder=False):
    """Return the parser of one job, which writes a file or a folder."""
    job = jobs.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
    kind, told = (Path, "a folder") if folder else (_output, ".png or .npz")
    job.add_argument("-o", "--output", type=kind, default=Path(default), help=f"{told} ({default})")
    job.add_argument("--force", action="store_true", help="overwrite what is there")
    return job


def _require_free(path, force):
    """Raise before the work, not after it, if the output cannot be written."""
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist. Make it first.")
    if path.exists() and not force:
        raise ValueError(f"{path} exists. Name another file with -o, or add --force.")


def _told(error):
    """Return what went wrong, in one line or more."""
    if isinstance(error, ModuleNotFoundError):
        return f'{error.name} is not installed. Try: pip install "gmmlearn[deep]"'
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{error}" or type(error).__name__


def _count(at_least):
    """Return a reader of whole numbers."""

    def read(text):
        if not text.isdecimal() or int(text) < at_least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number >= {at_least}")
        return int(text)

    return read


def _noise(text):
    """Read a standard deviation of noise."""
    try:
        std = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < std < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is not between 0 and 1: pixels lie in [0, 1]. Grey levels 0..255? Divide by "
            "255"
        )
    return std


def _output(text):
    """Read the name of a file that can be written."""
    path = Path(text)
    if path.suffix.lower() not in (".png", ".npz"):
        raise argparse.ArgumentTypeError(f"{text!r} ends neither in .png nor in .npz")
    return path
