"""The package as a whole: what imports what, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gmmlearn

PACKAGE = Path(gmmlearn.__file__).parent

# Floors of the package. A module may import modules of lower floors; a folder stands for all its
# modules.
FLOORS = [
    {"_files", "_validation", "arrays", "attributes"},
    {"gaussian", "codes", "damage", "ensemble", "datasets", "plots", "potts", "recorded", "scenes"},
    {"mixture", "metrics", "shapes", "texture", "words"},
    {"em", "scale_mixture"},
    # The tool, from its arithmetic up to scikit-learn's interface.
    {"covariance", "progress"},
    {"low_rank"},
    {"missing"},
    {"table"},
    {"device"},
    {"cluster"},
    {"statistics", "intake"},
    {"ascent"},
    {"starts", "scoring", "collapse"},
    {"stream"},
    {"estimator"},
    {"selection", "joint_ascent", "patches"},
    {"conditional", "wiener"},
    {"painter", "restoration", "inpainting"},
    # What needs torch; "deep" itself is the folder's empty front.
    {"deep"},
    {
        "deep.features",
        "deep.pixels",
        "deep.batches",
        "deep.checkpoints",
        "deep.networks",
        "deep.pacgan",
        "deep.devices",
        "deep.elbo",
        "deep.prior",
        "deep.ranks",
        "deep.arithmetic",
        "deep.speed",
    },
    {"deep.running", "deep.steering", "deep.joint_prior"},
    {"deep.training"},
    {"deep.autoencoder", "deep.flows", "deep.gan"},
    {"deep.completion", "deep.linear_vae", "deep.gmm_vae", "deep.mixture_game", "deep.budgets"},
    {"deep.gmm_gan"},
    {"deep.whole_run", "deep.scene_gan"},
    {"exercises", "command"},
    {"__main__"},
]
# What the lesson may import from outside.
LESSON = {"_validation", "gaussian", "mixture", "em"}


def modules():
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def unit(parts):
    """Return the module or folder that a path belongs to; `deep` has floors of its own."""
    parts = [part.removesuffix(".py") for part in parts]
    inside = parts[0] == "deep" and len(parts) > 1 and parts[1] != "__init__"
    return f"deep.{parts[1]}" if inside else parts[0]


def imports(path):
    """Return the full names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full, not relative"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=str)
def test_arrows_point_down(path):
    if path == Path("__init__.py"):
        return
    floor = {name: level for level, names in enumerate(FLOORS) for name in names}
    here = unit(path.parts)
    assert here in floor, f"{here} is on no floor: add it to FLOORS and to CONTRIBUTING.md"
    for name in imports(path):
        if not name.startswith("gmmlearn."):
            continue
        target = unit(name.split(".")[1:])
        allowed = floor[target] < floor[here] or target == here
        assert allowed, f"{path} imports {target}, which is not below it"


@pytest.mark.parametrize("name", sorted(LESSON))
def test_the_lesson_needs_numpy_and_scipy_alone(name):
    outside = {full.split(".")[0] for full in imports(Path(f"{name}.py"))} - {"gmmlearn"}
    assert outside <= set(sys.stdlib_module_names) | {"numpy", "scipy"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import gmmlearn", {"numpy", "scipy", "sklearn", "torch", "matplotlib"}),
        ("from gmmlearn import Gaussian, Mixture, em, datasets", {"sklearn", "torch"}),
        ("from gmmlearn import plots, check", {"sklearn", "torch"}),
    ],
)
def test_imports_are_lazy(statement, unwanted):
    code = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert not unwanted & set(loaded.stdout.split())


def test_every_public_name_can_be_imported():
    for name in gmmlearn.__all__:
        assert getattr(gmmlearn, name) is not None
    assert set(gmmlearn.__all__) <= set(dir(gmmlearn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(gmmlearn, "nothing")  # noqa: B009
