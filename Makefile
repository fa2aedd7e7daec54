# Each recipe is a plain command that you could type yourself.
#   make book       environment, pinned packages, book: the last line says what to open
#   make test       the book, then every test
#   make notebooks  run all notebooks top to bottom and keep their outputs
#   make lint       ruff
#   make serve      the built book at http://localhost:8000
#   make clean      forget the built book (the environment in .venv stays)

PYTHON ?= python3
BIN := .venv/bin
# Small matrices run faster on one thread, and their last digits no longer depend on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# A step that fails half-way leaves nothing behind that looks done.
.DELETE_ON_ERROR:

.PHONY: book test notebooks lint serve clean

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
	    --ExecutePreprocessor.record_timing=False book/[0-9]*.ipynb

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

serve: book
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

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

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	@touch $@
