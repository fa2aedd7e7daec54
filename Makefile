# Each recipe is a plain command that you could type yourself.
#   make book       environment, pinned packages, book: the last line says what to open
#   make test       the book, then every test
#   make notebooks  run all notebooks top to bottom and keep their outputs
#   make lint       ruff
#   make serve      the book at http://127.0.0.1:8000, rebuilt and reloaded when a source changes
#   make lab        JupyterLab, opened on the chapters (installs it first: some 30 packages)
#   make zip        the built book as one file, _build/from-mixtures-to-images.zip
#   make pdf        the book as _build/pdf/_build/latex/book.pdf, where a LaTeX is installed
#   make clean      forget the built book (the environment in .venv stays)

PYTHON ?= python3
BIN := .venv/bin
# Small matrices run faster on one thread, and their last digits no longer depend on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

LATEX := latexmk texlive-xetex texlive-latex-extra fonts-freefont-otf xindy

# A step that fails half-way leaves nothing behind that looks done.
.DELETE_ON_ERROR:

.PHONY: book test notebooks lint serve lab zip pdf clean

# The marker _build/complete is there only after a build that succeeded. Without it the cached
# pages go: Sphinx reports a page's warnings only when it reads the page, so a second build
# after a failed or interrupted one would pass in silence.
book: .venv/installed
	@test -e _build/complete || rm -rf _build/.doctrees
	@rm -f _build/complete
	$(BIN)/jupyter-book build . -W -n --keep-going
	@touch _build/complete
	@echo "The book is built. Open _build/html/index.html"

test: book .venv/installed-dev
	$(BIN)/pytest

notebooks: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	    --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.coalesce_streams=True \
	    book/[0-9]*.ipynb

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

serve: book .venv/installed-dev
	$(BIN)/python tools/serve.py

lab: .venv/installed-lab
	$(BIN)/jupyter lab --notebook-dir=book

zip: book
	$(BIN)/python tools/zip_site.py

# In a folder of its own: what Sphinx keeps for pages in HTML is not what LaTeX needs.
pdf: .venv/installed
	@missing=; for tool in latexmk xelatex xindy; do \
	    command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	    echo "make pdf needs a LaTeX. Not found:$$missing."; \
	    echo "On Debian and Ubuntu: sudo apt-get install $(LATEX)"; exit 1; fi
	$(BIN)/jupyter-book build . --builder pdflatex --path-output _build/pdf --keep-going
	@echo "The book is printed. Open _build/pdf/_build/latex/book.pdf"

clean:
	rm -rf _build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "This book needs Python 3.11 or newer. Found: $$($(PYTHON) --version 2>&1)."; \
	    echo "Name another one with: make book PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python requirements.txt constraints.txt pyproject.toml
	$(BIN)/python -m pip install -r requirements.txt
	@touch $@

.venv/installed-lab: .venv/installed requirements-lab.txt
	$(BIN)/python -m pip install -r requirements-lab.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	@touch $@
