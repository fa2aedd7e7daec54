"""python -m gmmlearn: what it writes, what it refuses, and how it says so."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmmlearn import datasets
from gmmlearn.command import BROKEN_OFF, DONE, FAILED, jobs, main, make_parser
from gmmlearn.command.pictures import read_picture, write_arrays, write_pictures, write_png
from gmmlearn.patches import load_patch_prior
from gmmlearn.restoration import adapt, posterior_mean


def run(*arguments, **options):
    command = [sys.executable, "-m", "gmmlearn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def refused(capsys, *arguments):
    """Return what a failing call says, which has no traceback."""
    assert main([*map(str, arguments)]) == FAILED
    said = capsys.readouterr()
    assert not said.out and said.err.startswith(f"python -m gmmlearn {arguments[0]}: ")
    return said.err


@pytest.fixture
def noisy(tmp_path):
    """Return a small noisy picture in colour, its file and the clean one."""
    clean = datasets.photograph("flower", grey=False)[100:140, 200:240]
    noise = 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    path = tmp_path / "noisy.png"
    write_png(path, clean + noise)
    return path, clean


# ------------------------------------------------------------------------------- as somebody calls


def test_help_shows_examples_and_is_quick():
    began = time.perf_counter()
    said = run("--help")
    assert said.returncode == DONE and "python -m gmmlearn restore noisy.png" in said.stdout
    assert time.perf_counter() - began < 5  # torch alone takes longer where others work too
    code = "import sys, gmmlearn.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not {"numpy", "torch", "matplotlib"} & set(loaded.stdout.split())


def test_it_samples_digits_and_refuses_to_overwrite(tmp_path):
    pytest.importorskip("torch")
    from gmmlearn.deep.gmm_gan import load_gmm_gan

    path = tmp_path / "sheet.npz"
    command = ("sample", "digits", "--component", 3, "-n", 5, "--seed", 7, "-o", path)
    said = run(*command)
    assert (said.returncode, said.stdout, said.stderr) == (DONE, f"{path}: 5 pictures\n", "")
    expected = load_gmm_gan("digits").sample(5, component=3, rng=7).numpy()[:, 0]
    with np.load(path) as file:  # white paper is 1, ink is 0
        np.testing.assert_allclose(file["images"], 0.5 - expected / 2, atol=1e-6)
        assert file["component"] == 3 and file["seed"] == 7
    before = path.read_bytes()
    again = run(*command)
    assert again.returncode == FAILED and "add --force" in again.stderr
    assert "Traceback" not in again.stderr and path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_the_page_shows_the_examples_of_the_help():
    examples = [line.strip() for line in make_parser().epilog.splitlines() if " -o " in line]
    page = (Path(__file__).parents[1] / "book" / "reference" / "command.md").read_text()
    assert len(examples) >= 4 and "\n".join(examples) in page
    for line in examples:
        make_parser().parse_args(shlex.split(line.split(" -m gmmlearn ")[1]))


# ------------------------------------------------------------------------------------------ drawing


@pytest.fixture
def drawing(monkeypatch):
    """Let noise stand for what the generator draws: the command's own part is tested."""
    gmm_gan = pytest.importorskip("gmmlearn.deep.gmm_gan")

    class Model:
        def draw(self, text, n, rng):
            assert text == "a spring morning"
            return np.random.default_rng(rng).uniform(-1, 1, (n, 32, 32, 3)).astype(np.float32)

    monkeypatch.setattr(gmm_gan, "load_gmm_gan", lambda name: {"seasons": Model()}[name])


def test_it_draws_what_words_ask_for(tmp_path, drawing, capsys):
    path = tmp_path / "spring.png"
    assert main(["draw", "a spring morning", "-n", "5", "--seed", "3", "-o", str(path)]) == DONE
    assert capsys.readouterr().out == f"{path}: 5 pictures\n"
    sheet = read_picture(path)
    assert sheet.shape == (2 * 100, 3 * 100, 3)  # each pixel three times, two white ones around
    image = np.random.default_rng(3).uniform(-1, 1, (5, 32, 32, 3))[1]
    tile = sheet[2:98:3, 102:198:3]
    np.testing.assert_allclose(tile, (image + 1) / 2, atol=0.002)
    assert (sheet[100:, 200:] == 1).all() and (sheet[:2] == 1).all()


def test_force_overwrites(tmp_path, drawing):
    path = tmp_path / "scenes.npz"
    path.write_text("old")
    assert main(["draw", "a spring morning", "-n", "2", "-o", str(path), "--force"]) == DONE
    with np.load(path) as file:
        assert file["images"].shape == (2, 32, 32, 3)


def test_words_that_are_not_known_are_named(tmp_path, capsys):
    said = refused(capsys, "draw", "a sprng morning", "-o", tmp_path / "x.png")
    assert "Did you mean 'spring'?" in said and not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------- repairing


def test_it_removes_noise_strip_by_strip_as_from_the_whole(noisy, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_STRIP", 16)
    path, clean = noisy
    output = tmp_path / "clean.npz"
    assert main(["restore", str(path), "--noise-std", "0.1", "-o", str(output)]) == DONE
    image, prior = read_picture(path), load_patch_prior("china")
    whole = posterior_mean(image, adapt(prior, image, 0.1), 0.1)
    with np.load(output) as file:
        restored = file["image"]
    np.testing.assert_allclose(restored, whole, atol=1e-5)
    assert np.square(restored - clean).mean() < 0.3 * np.square(image - clean).mean()


def test_it_fills_holes_and_keeps_the_rest(noisy, tmp_path):
    _, clean = noisy
    mask = np.zeros((40, 40))
    mask[10:14, 5:30] = 1
    write_png(tmp_path / "holes.png", np.where(mask[..., None] > 0, 1, clean))
    write_png(tmp_path / "mask.png", mask)
    output = tmp_path / "filled.png"
    asked = ["restore", tmp_path / "holes.png", "--mask", tmp_path / "mask.png", "-o", output]
    assert main([*map(str, asked)]) == DONE
    filled, hole = read_picture(output), mask > 0
    np.testing.assert_allclose(filled[~hole], clean[~hole], atol=0.51 / 255)
    away = np.square(filled - clean)[hole].mean()
    assert away < 0.1 * np.square(1 - clean)[hole].mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.png", "--noise-std", 0.1), "missing.png: No such file"),
        (("text.png", "--noise-std", 0.1), "is no picture that can be read. Save it as PNG"),
        (("two.npz", "--noise-std", 0.1), 'Call the picture "image"'),
        (("text.npz", "--noise-std", 0.1), "is no NPZ file"),
        (("bright.npz", "--noise-std", 0.1), "Grey levels 0..255? Divide by 255"),
        (("tiny.png", "--noise-std", 0.1), "smaller than a patch of 8 x 8"),
        (("noisy.png", "--mask", "tiny.png"), "mask must be booleans of shape (40, 40)"),
        (("noisy.png", "--mask", "black.png"), "the mask has no white pixel"),
    ],
)
def test_files_of_no_use_are_named(noisy, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("text.png", "text.npz"):
        (tmp_path / name).write_text("no picture")
    write_arrays(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    write_arrays(tmp_path / "bright.npz", image=np.full((20, 20), 200.0))
    write_png(tmp_path / "tiny.png", np.ones((4, 4)))
    write_png(tmp_path / "black.png", np.zeros((40, 40)))
    assert message in refused(capsys, "restore", *arguments, "-o", "out.png")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: JOB"),
        (("paint",), "invalid choice: 'paint'"),
        (("train", "faces"), "invalid choice: 'faces'"),
        (("sample", "digits", "-n", "0"), "'0' is no whole number >= 1"),
        (("sample", "digits", "-o", "x.jpg"), "'x.jpg' ends neither in .png nor in .npz"),
        (("restore", "x.png"), "one of the arguments --noise-std --mask is required"),
        (("restore", "x.png", "--noise-std", "25"), "Grey levels 0..255? Divide by 255"),
        (("restore", "x.png", "--noise-std", "much"), "'much' is no number"),
    ],
)
def test_wrong_usage_exits_with_two(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_what_cannot_be_written_is_said_before_the_work(tmp_path, capsys):
    said = refused(capsys, "draw", "spring", "-o", tmp_path / "no" / "x.png")
    assert f"the folder {tmp_path / 'no'} does not exist" in said


def test_components_that_are_not_there_are_named(tmp_path, capsys):
    pytest.importorskip("torch")
    said = refused(capsys, "sample", "digits", "--component", 99, "-o", tmp_path / "x.png")
    assert "the components are numbered 0..19" in said


def test_what_is_not_installed_is_named(tmp_path, capsys, monkeypatch):
    def absent(asked):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(jobs, "sample", absent)
    said = refused(capsys, "sample", "digits", "-o", tmp_path / "x.png")
    assert 'torch is not installed. Try: pip install "gmmlearn[deep]"' in said


def test_ctrl_c_is_no_traceback(tmp_path, capsys, monkeypatch):
    def broken_off(asked):
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "sample", broken_off)
    assert main(["sample", "digits", "-o", str(tmp_path / "x.png")]) == BROKEN_OFF
    assert capsys.readouterr().err == "python -m gmmlearn sample: broken off\n"


# ----------------------------------------------------------------------------------------- training

TRAIN = ("train", "digits", "--code-steps", 20, "--steps", 20, "--pictures", 100, "--width", 2)
TRAIN = (*TRAIN, "--latent-dim", 3, "--components", 2, "--batch-size", 20)


def test_it_trains_and_samples_from_what_it_trained(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.delenv("GMMLEARN_DATA", raising=False)
    folder = tmp_path / "run"
    train = [*map(str, TRAIN), "--device", "cpu", "-o", str(folder)]
    assert main(train) == DONE
    assert capsys.readouterr().out.startswith(f"{folder}: 100 digits of scikit-learn's")
    assert read_picture(folder / "sheet.png").shape == (800, 800)
    output = tmp_path / "samples.npz"
    assert main(["sample", str(folder), "-n", "2", "-o", str(output)]) == DONE
    capsys.readouterr()
    assert "holds a finished run" in refused(capsys, *train)
    before = (folder / "record.json").stat().st_mtime_ns
    assert main([*train, "--seed", "1", "--force"]) == DONE
    assert (folder / "record.json").stat().st_mtime_ns > before
    capsys.readouterr()
    assert "is a file" in refused(capsys, *train[:-1], output)


def test_two_processes_train_as_one(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.delenv("GMMLEARN_DATA", raising=False)
    launch = "from torch.distributed.run import main; main()"
    options = ("--standalone", "--nproc-per-node", 2, "-m", "gmmlearn")
    arguments = (*options, *TRAIN, "--device", "cpu", "-o", tmp_path / "two")
    said = subprocess.run(
        [sys.executable, "-c", launch, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("digits of scikit-learn's") == 1  # the first one speaks
    assert main([*map(str, TRAIN), "--device", "cpu", "-o", str(tmp_path / "one")]) == DONE
    one, two = (json.loads((tmp_path / n / "record.json").read_text()) for n in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    for stage, losses in one["losses"].items():
        for name, values in losses.items():
            np.testing.assert_allclose(two["losses"][stage][name], values, rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------------------------------- the files


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", 50 / 255), ("RGB", [50 / 255] * 3), ("RGBA", [50 / 255] * 3), ("I;16", 50 / 65535)],
)
def test_pixels_come_back_whatever_the_kind_of_file(tmp_path, mode, expected):
    value = {"L": 50, "I;16": 50, "RGB": (50,) * 3, "RGBA": (50, 50, 50, 10)}[mode]
    Image.new(mode, (3, 2), value).save(tmp_path / "x.png")
    image = read_picture(tmp_path / "x.png")
    assert image.shape[:2] == (2, 3)
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape))


def test_a_sheet_of_grey_pictures_keeps_their_order(tmp_path):
    images = np.arange(3.0)[:, None, None] / 4 * np.ones((3, 64, 64))
    write_pictures(tmp_path / "x.png", images)
    sheet = read_picture(tmp_path / "x.png")
    assert sheet.shape == (136, 136)
    found = [sheet[34, 34], sheet[34, 102], sheet[102, 34], sheet[102, 102]]
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 1.0], atol=0.002)
