"""What readers take along: the zip, a notebook alone in a folder, and the server for authors."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from importlib.util import module_from_spec, spec_from_file_location

import inventory
import pytest
from contents import HTML, ROOT, missing


def tool(name):
    """Return a script of tools/ as a module."""
    spec = spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    (site / "b").mkdir(parents=True)
    (site / "index.html").write_text("<p>one</p>" * 99)
    (site / "b" / "two.html").write_text("two")
    (site / ".buildinfo").write_text("differs")
    return site


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_zip_of_the_same_pages_has_the_same_bytes(site, tmp_path):
    pack = tool("zip_site").pack
    first, again = tmp_path / "1" / "book.zip", tmp_path / "2" / "book.zip"
    for target in (first, again):
        target.parent.mkdir()
    pack(site, first)
    # Another time, other rights, another order of writing.
    (site / "b" / "two.html").unlink()
    (site / "b" / "two.html").write_text("two")
    os.chmod(site / "index.html", 0o600)
    os.utime(site / "index.html", (1, 1))
    (site / ".buildinfo").write_text("differs again")
    pack(site, again)
    assert digest(first) == digest(again)
    (site / "b" / "two.html").write_text("three")
    pack(site, again)
    assert digest(first) != digest(again)


def test_zip_unpacks_to_the_pages(site, tmp_path):
    tool("zip_site").pack(site, tmp_path / "book.zip")
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        assert archive.namelist() == ["book/b/two.html", "book/index.html"]
        archive.extractall(tmp_path / "out")
    assert (tmp_path / "out/book/index.html").read_text() == (site / "index.html").read_text()
    assert (tmp_path / "book.zip").stat().st_size < 600  # compressed


def test_zipped_book_opens_from_the_disk(browser, tmp_path):
    tool("zip_site").pack(HTML, tmp_path / "book.zip")
    with zipfile.ZipFile(tmp_path / "book.zip") as archive:
        archive.extractall(tmp_path)
    window = browser.new_page()
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    window.goto((tmp_path / "book" / "index.html").as_uri())
    window.wait_for_function("document.documentElement.dataset.scroll === 'ready'")
    assert "From Mixtures to Images" in window.title()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    window.close()


SERVER = """
import shutil, sys
sys.path.insert(0, sys.argv[1])
import serve
serve.serve("site", ["source.html"], lambda: shutil.copy("source.html", "site/index.html"), {port})
"""


def test_served_page_reloads_when_a_source_changes(browser, site):
    folder = site.parent
    source = folder / "source.html"
    source.write_text("<html><head></head><body>first</body></html>")
    (site / "index.html").write_text(source.read_text())
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER.format(port=port), str(ROOT / "tools")],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        window = browser.new_page()
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        window.goto(f"http://127.0.0.1:{port}/")
        assert window.inner_text("body") == "first"
        window.wait_for_timeout(1500)  # the page has said hello to the server
        source.write_text("<html><head></head><body>second</body></html>")
        os.utime(source, (time.time() + 5,) * 2)
        window.wait_for_function("document.body.innerText === 'second'", timeout=20_000)
        window.close()
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize(
    ("path", "ignored"),
    [("book/01_gaussian.ipynb", False), ("gmmlearn/em.py", False), ("_toc.yml", False),
     ("gmmlearn/__pycache__/em.pyc", True), ("book/.ipynb_checkpoints/a.ipynb", True)],
)  # fmt: skip
def test_server_watches_what_authors_write(path, ignored):
    assert tool("serve").is_no_source(path) is ignored


def test_pdf_says_what_is_missing(tmp_path):
    """Where no LaTeX is, `make pdf` names it and fails."""
    for name in ("sh", "echo", "touch", "test", "make"):
        (tmp_path / name).symlink_to(shutil.which(name))
    run = subprocess.run(
        ["make", "pdf", "--old-file=.venv/installed", "--assume-old=.venv/installed"],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode != 0
    assert "Not found: latexmk xelatex xindy." in run.stdout
    assert "apt-get install latexmk" in run.stdout


CHAPTERS = sorted(inventory.chapters().values())


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_page_offers_its_notebook(path):
    page = HTML / "book" / f"{path.stem}.html"
    if not page.exists():
        missing(f"{page.name} is not built: run `make book`")
    assert f'href="../_sources/book/{path.name}"' in page.read_text(encoding="utf-8")
    offered = HTML / "_sources" / "book" / path.name
    assert offered.read_text("utf-8") == path.read_text("utf-8")


def test_button_downloads_the_notebook_from_the_disk(browser):
    window = browser.new_page(accept_downloads=True)
    chapter = CHAPTERS[0]
    window.goto((HTML / "book" / f"{chapter.stem}.html").as_uri())
    window.wait_for_function("document.documentElement.dataset.scroll === 'ready'")
    window.locator(".dropdown-download-buttons > button").click()
    with window.expect_download() as caught:
        window.locator(".btn-download-source-button").click()
    assert caught.value.suggested_filename == chapter.name
    assert caught.value.path().read_text("utf-8") == chapter.read_text("utf-8")
    window.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package as pip installs it, in a folder of its own."""
    folder, source = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "gmmlearn", source / "gmmlearn")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
               "--wheel-dir", folder, source]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_carries_what_notebooks_load(installed):
    wanted = {
        path.relative_to(ROOT)
        for path in (ROOT / "gmmlearn").rglob("*")
        if path.suffix in {".py", ".json", ".safetensors"}
    }
    assert any(path.suffix == ".safetensors" for path in wanted)
    lost = sorted(path for path in wanted if not (installed / path).is_file())
    assert not lost, f"not in the wheel: {lost}"


def test_notebook_runs_alone_in_a_folder(installed, tmp_path):
    """Chapter 4, which loads a record, with nothing of this repository in reach."""
    name = inventory.chapters()[4].name
    shutil.copy(HTML / "_sources" / "book" / name, tmp_path)
    code = "import gmmlearn; print(gmmlearn.__file__)"
    where = {**os.environ, "PYTHONPATH": str(installed)}
    run = {"cwd": tmp_path, "env": where, "check": True, "capture_output": True, "text": True}
    assert str(installed) in subprocess.run([sys.executable, "-c", code], **run).stdout
    jupyter = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute"]
    subprocess.run([*jupyter, "--output", "run.ipynb", name], **run)
    cells = json.loads((tmp_path / "run.ipynb").read_text("utf-8"))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
