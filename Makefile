# What one needs: `make demo` and `make test`. Both prepare .venv on first use (about 3 minutes
# and, with PyTorch's CUDA libraries on Linux, 6 GB; less with PyTorch's CPU builds, see PIP_ARGS).
#
#   PYTHON     the Python (>= 3.11) that the environment is made with
#   PIP_ARGS   added to every pip install, e.g.
#              PIP_ARGS=--extra-index-url=https://download.pytorch.org/whl/cpu
#   ARGS       added to the command: make demo ARGS=--quick, make test ARGS=tests/layers
#   JOBS       the processes that run the tests, each with one thread

PYTHON ?= python3
PIP_ARGS ?=
JOBS ?= 2
ARGS ?=

VENV := .venv
READY := $(VENV)/.ready
ORIGINAL := .venv-original
ORIGINAL_READY := $(ORIGINAL)/.ready
# mmcv 2.1.0 must be compiled against the PyTorch that it is used with.
ORIGINAL_TORCH ?= torch==2.13.*
ORIGINAL_EXTRAS := mmseg-original,tests
OLDEST := .venv-oldest
OLDEST_READY := $(OLDEST)/.ready
OLDEST_EXTRAS := mmseg-original,timm,smp,tests
# The lowest versions that setup.py allows.
OLDEST_PINS := 'torch==2.1.*' 'torchvision==0.16.*' 'numpy==1.24.*'

ONEDL := .venv-onedl
ONEDL_READY := $(ONEDL)/.ready
ONEDL_EXTRAS := mmseg,timm,smp,tests

# Files stay together, for what their tests share, and in the order of tests/conftest.py.
SPREAD := -n $(JOBS) --dist loadfile --no-loadscope-reorder
# One thread per process, and none that spins while it waits: the processes share the cores.
PARALLEL := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser test-install test-hosts test-mmseg-original test-oldest \
	test-onedl parity swap-survey lint format install clean

help:
	@echo "make demo                  train BN, IBN-a and IBN-b on embedded scenes, write a report"
	@echo "make test                  run the tests"
	@echo "make test-slow             run the tests that take minutes each"
	@echo "make test-browser          look at a report in headless Chromium"
	@echo "make test-hosts            run timm's own model tests, and smp's checks, on our names"
	@echo "make test-install          install wheels into new environments and use them"
	@echo "make test-mmseg-original   the tests with mmsegmentation 1.2.2 and compiled mmcv 2.1.0"
	@echo "make test-oldest           the tests with PyTorch 2.1 and NumPy 1.24, on Python 3.11"
	@echo "make test-onedl            the tests with onedl-mmengine in place of mmengine"
	@echo "make parity                compare every network with the reference's figures, as a table"
	@echo "make swap-survey           swap the backbone of every config of the installed mmseg"
	@echo "make lint | make format    ruff"
	@echo "make install               only prepare .venv"
	@echo "make clean                 remove the environments, builds and caches (not work_dirs)"

demo: $(READY)
	@$(VENV)/bin/ibn-seg demo $(ARGS)

test: $(READY)
	@$(PARALLEL) $(VENV)/bin/python -m pytest $(SPREAD) $(ARGS)

test-slow: $(READY)
	@$(VENV)/bin/python -m pytest -m slow -raP $(ARGS)

test-browser: $(READY)
	@$(VENV)/bin/python -m pytest -m browser $(ARGS)

test-hosts: $(READY)
	@$(PARALLEL) $(VENV)/bin/python -m pytest -m hosts -n $(JOBS) $(ARGS)

test-install: $(READY)
	@$(VENV)/bin/python -m pytest -m install $(ARGS)

# The default tests, and that installing leaves the files of this stack as they are.
test-mmseg-original: $(ORIGINAL_READY)
	@$(ORIGINAL)/bin/python -m pytest -m install -k original tests/packaging/test_install.py
	@$(PARALLEL) $(ORIGINAL)/bin/python -m pytest $(SPREAD) $(ARGS)

# The default tests; those of what PyTorch 2.1 cannot do are skipped with the reason.
test-oldest: $(OLDEST_READY)
	@$(PARALLEL) $(OLDEST)/bin/python -m pytest $(SPREAD) $(ARGS)

# The default tests with the maintained continuation of the engine.
test-onedl: $(ONEDL_READY)
	@$(PARALLEL) $(ONEDL)/bin/python -m pytest $(SPREAD) $(ARGS)

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
	@echo "removing $(VENV), $(ORIGINAL), $(OLDEST), $(ONEDL), builds and caches; work_dirs and data stay"
	@rm -rf $(VENV) $(ORIGINAL) $(OLDEST) $(ONEDL) build dist *.egg-info \
	  .pytest_cache .ruff_cache .hypothesis
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

# $(call install_original,FOLDER,PACKAGES,EXTRAS): mmsegmentation 1.2.2 on the PyTorch among
# PACKAGES, which are named twice: the last step could else put newer ones in their place.
# --no-build-isolation: mmcv's build imports the PyTorch that is installed, and pkg_resources.
# --no-cache-dir: pip's cache may have an mmcv that was compiled against another PyTorch.
# Any PyTorch serves; its CPU build, where PIP_ARGS names an index that has one, is the smallest.
define install_original
	echo "installing PyTorch into $(1) (about 2 minutes)"; \
	$(1)/bin/python -m pip install --quiet $(PIP_ARGS) \
	  'setuptools<80' wheel ninja psutil $(2); \
	echo "compiling mmcv 2.1.0 (10 to 20 minutes on 2 cores)"; \
	$(1)/bin/python -m pip install --quiet $(PIP_ARGS) --no-build-isolation \
	  --no-cache-dir --no-deps --no-binary=mmcv mmcv==2.1.0; \
	echo "installing ibn_seg and mmsegmentation 1.2.2"; \
	$(1)/bin/python -m pip install --quiet $(PIP_ARGS) --only-binary=opencv-python \
	  -e '.[$(3)]' $(2); \
	rm $(1)/.installing; : > $(1)/.ready; echo "$(1) is ready"
endef

$(ORIGINAL_READY): setup.py
	@set -eu; $(call prepare,$(ORIGINAL),Makefile); \
	$(call install_original,$(ORIGINAL),numpy '$(ORIGINAL_TORCH)',$(ORIGINAL_EXTRAS))

# PyTorch 2.1 stands beside the original: the continuation requires NumPy 2, which it cannot use.
$(OLDEST_READY): setup.py
	@set -eu; ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || { \
	  echo "PyTorch 2.1 has no wheel for a Python newer than 3.11:" \
	    "make test-oldest PYTHON=python3.11" >&2; exit 3; }; \
	$(call prepare,$(OLDEST),Makefile); \
	$(call install_original,$(OLDEST),$(OLDEST_PINS),$(OLDEST_EXTRAS))

# Both packages own the folder mmengine, and mmcv-lite asks for the one by name: so it goes last.
$(ONEDL_READY): setup.py
	@set -eu; $(call prepare,$(ONEDL),Makefile); \
	echo "installing ibn_seg and the stack of OneDL into $(ONEDL) (about 3 minutes)"; \
	$(ONEDL)/bin/python -m pip install --quiet $(PIP_ARGS) -e '.[$(ONEDL_EXTRAS)]'; \
	$(ONEDL)/bin/python -m pip uninstall --quiet --yes mmengine; \
	$(ONEDL)/bin/python -m pip install --quiet $(PIP_ARGS) 'onedl-mmengine>=0.10.12,<0.11'; \
	rm $(ONEDL)/.installing; : > $@; echo "$(ONEDL) is ready"
