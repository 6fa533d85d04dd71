# What one needs: `make demo` and `make test`. Both prepare .venv on first use (about 3 minutes
# and, with PyTorch's CUDA libraries on Linux, 6 GB; less with PyTorch's CPU builds, see PIP_ARGS).
#
#   PYTHON     the Python (>= 3.11) that the environment is made with
#   PIP_ARGS   added to every pip install, e.g.
#              PIP_ARGS=--extra-index-url=https://download.pytorch.org/whl/cpu
#   ARGS       added to the command: make demo ARGS=--quick, make test ARGS=tests/layers

PYTHON ?= python3
PIP_ARGS ?=
ARGS ?=

VENV := .venv
READY := $(VENV)/.ready
ORIGINAL := .venv-original
ORIGINAL_READY := $(ORIGINAL)/.ready
# mmcv 2.1.0 must be compiled against the PyTorch that it is used with.
ORIGINAL_TORCH ?= torch==2.13.*

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser test-install test-mmseg-original parity \
	swap-survey lint format install clean

help:
	@echo "make demo                  train BN, IBN-a and IBN-b on embedded scenes, write a report"
	@echo "make test                  run the tests"
	@echo "make test-slow             run the tests that take minutes each"
	@echo "make test-browser          look at a report in headless Chromium"
	@echo "make test-install          install wheels into new environments and use them"
	@echo "make test-mmseg-original   the tests with mmsegmentation 1.2.2 and compiled mmcv 2.1.0"
	@echo "make parity                compare every network with the reference's figures, as a table"
	@echo "make swap-survey           swap the backbone of every config of the installed mmseg"
	@echo "make lint | make format    ruff"
	@echo "make install               only prepare .venv"
	@echo "make clean                 remove the environments, builds and caches (not work_dirs)"

demo: $(READY)
	@$(VENV)/bin/ibn-seg demo $(ARGS)

test: $(READY)
	@$(VENV)/bin/python -m pytest $(ARGS)

test-slow: $(READY)
	@$(VENV)/bin/python -m pytest -m slow -raP $(ARGS)

test-browser: $(READY)
	@$(VENV)/bin/python -m pytest -m browser $(ARGS)

test-install: $(READY)
	@$(VENV)/bin/python -m pytest -m install $(ARGS)

# The default tests, and that installing leaves the files of this stack as they are.
test-mmseg-original: $(ORIGINAL_READY)
	@$(ORIGINAL)/bin/python -m pytest -m install -k original tests/packaging/test_install.py
	@$(ORIGINAL)/bin/python -m pytest $(ARGS)

parity: $(READY)
	@$(VENV)/bin/python -m tests.parity.golden

swap-survey: $(READY)
	@$(VENV)/bin/python -m tests.swap.survey $(ARGS)

lint: $(READY)
	@$(VENV)/bin/python -m ruff check .
	@$(VENV)/bin/python -m ruff format --check .

format: $(READY)
	@$(VENV)/bin/python -m ruff check --fix .
	@$(VENV)/bin/python -m ruff format .

install: $(READY)

clean:
	@echo "removing $(VENV), $(ORIGINAL), builds and caches; work_dirs and data stay"
	@rm -rf $(VENV) $(ORIGINAL) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -------------------------------------------------------------------------------
# The file .ready is written last, so an install that was interrupted is not taken for a whole one.
# pip can take a half-copied package for an installed one; therefore an environment that still has
# the mark .installing is made anew. One that you made yourself is added to, not replaced.

# $(call prepare,FOLDER,LOCK): check Python, wait for another make at the same work, make the
# folder. The shell that ran it holds the lock (on a file that is there anyway) until it ends;
# where there is no flock, nobody waits.
define prepare
	command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "ibn_seg needs Python 3.11 or newer: there is no $(PYTHON) here;" \
	    "install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 3; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ibn_seg needs Python 3.11 or newer: $(PYTHON) is" \
	    "$$("$(PYTHON)" -c 'import sys; print(*sys.version_info[:3], sep=".")');" \
	    "name a newer one: make PYTHON=/path/to/python3.11" >&2; exit 3; }; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments (no module venv or ensurepip);" \
	    "install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 3; }; \
	if command -v flock >/dev/null 2>&1; then exec 9<$(2); \
	  flock -n 9 || { echo "waiting for another make that is installing"; flock 9; }; fi; \
	if [ -e $(1)/.ready ] && ! [ setup.py -nt $(1)/.ready ]; then exit 0; fi; \
	if [ -e $(1)/.installing ]; then \
	  echo "the last install was interrupted: making $(1) anew"; rm -rf $(1); fi; \
	mkdir -p $(1); : > $(1)/.installing; \
	[ -x $(1)/bin/python ] || "$(PYTHON)" -m venv $(1)
endef

$(READY): setup.py
	@set -eu; $(call prepare,$(VENV),setup.py); \
	echo "installing ibn_seg and the default stack into $(VENV)" \
	  "(about 3 minutes, 6 GB where PyTorch brings CUDA)"; \
	$(VENV)/bin/python -m pip install --quiet $(PIP_ARGS) -e '.[mmseg,dev]'; \
	rm $(VENV)/.installing; : > $@; echo "$(VENV) is ready"

# --no-build-isolation: mmcv's build imports the PyTorch that is installed, and pkg_resources.
# Any PyTorch serves; its CPU build, where PIP_ARGS names an index that has one, is the smallest.
$(ORIGINAL_READY): setup.py
	@set -eu; $(call prepare,$(ORIGINAL),Makefile); \
	echo "installing PyTorch into $(ORIGINAL) (about 2 minutes)"; \
	$(ORIGINAL)/bin/python -m pip install --quiet $(PIP_ARGS) \
	  'setuptools<80' wheel ninja psutil numpy '$(ORIGINAL_TORCH)'; \
	echo "compiling mmcv 2.1.0 (10 to 20 minutes on 2 cores)"; \
	$(ORIGINAL)/bin/python -m pip install --quiet $(PIP_ARGS) --no-build-isolation \
	  --no-binary=mmcv mmcv==2.1.0; \
	echo "installing ibn_seg and mmsegmentation 1.2.2"; \
	$(ORIGINAL)/bin/python -m pip install --quiet $(PIP_ARGS) -e '.[mmseg-original,tests]'; \
	rm $(ORIGINAL)/.installing; : > $@; echo "$(ORIGINAL) is ready"
