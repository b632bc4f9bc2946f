# Everything runs in .venv, which is made on first use: python3 with venv is all that is needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that the tests are spread over; 0 runs them in the process of pytest. Three keep two processors
# busy, since some tests wait for a browser or a server; each grows to 3 GB, with the slow tests to 5 GB.
WORKERS ?= 3
# What the short lanes of continuous integration leave out.
SHORT = $(if $(TFPIX2PIX_SHORT),-m 'not slow')
# A wheel that is there already, for what installs the package; without, it is built first.
WHEEL ?=
# `make UV=uv` lets uv install packages, which takes a fifth of the time of pip.
UV ?=
install = $(if $(UV),$(UV) pip install --quiet --python $(1),$(1) -m pip install --quiet --no-compile --disable-pip-version-check)
# Keras 2 is in an environment beside it.
VENV_KERAS2 ?= $(VENV)-keras2
BIN_KERAS2 := $(VENV_KERAS2)/bin
# What Colab ships in autumn 2026, and the tests that run beside it: the steps, fit, and how flags are read.
VENV_COLAB ?= $(VENV)-colab
BIN_COLAB := $(VENV_COLAB)/bin
COLAB := absl-py==1.4.0 'keras==3.13.2' 'setuptools==75.*' 'tensorflow==2.20.*'
COLAB_SHORT := tests/networks/registration_test.py tests/model/pix2pix_test.py
COLAB_TESTS := $(COLAB_SHORT) tests/methods/pix2pix_test.py tests/pipelines/base/command_line_test.py tests/networks/layers_test.py \
  tests/model/callbacks_test.py tests/run/checkpoints_test.py

# Packages are installed without bytecode, and what a command imports is compiled at its first use. Without
# keeping it, as images for containers often ask, each process would compile TensorFlow again, for 15 seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help environment quickstart bench test test-all test-durations test-cluster test-keras2 test-colab python-keras2 lint types docs wheel wheel-test clean

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*##/\1:/p' Makefile

environment: $(VENV)/.dev  ## make the environment; its first use makes it too

quickstart: $(VENV)/.runtime  ## train on the generated facades, score, export; offline, a few minutes
	$(BIN)/python -m tfpix2pix.quickstart

test: $(VENV)/.dev  ## the tests, without those that are marked as slow
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow'

test-all: $(VENV)/.dev  ## all tests, also the slow ones
	$(BIN)/python -m pytest -n $(WORKERS)

test-durations: $(VENV)/.dev  ## all tests, and the 20 that took longest
	$(BIN)/python -m pytest -n $(WORKERS) --durations=20

test-cluster: $(VENV)/.dev  ## the tests of training and translating on Ray, which is installed for them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cluster]'
	$(BIN)/python -m pytest tests/cluster

test-keras2: $(VENV)/.runtime $(VENV_KERAS2)/.dev  ## the suite with Keras 2.15 and tensorflow-addons; Python 3.10 or 3.11
	TFPIX2PIX_OTHER_PYTHON=$(abspath $(BIN))/python $(BIN_KERAS2)/python -m pytest -n $(WORKERS) -rs $(SHORT)

test-colab:  ## the core of the suite with what Colab ships, none of which may be replaced; Python 3.12 or 3.13
	rm -rf $(VENV_COLAB) && $(PYTHON) -m venv $(VENV_COLAB)
	$(call install,$(BIN_COLAB)/python) $(COLAB)
	$(BIN_COLAB)/python -m pip freeze --all > $(VENV_COLAB)/before.txt
	$(call install,$(BIN_COLAB)/python) $(or $(WHEEL),.)
	$(BIN_COLAB)/python -m pip freeze --all > $(VENV_COLAB)/after.txt
	! grep -vxFf $(VENV_COLAB)/after.txt $(VENV_COLAB)/before.txt
	$(call install,$(BIN_COLAB)/python) 'pytest>=8' pytest-xdist 'scikit-image>=0.22'
	$(BIN_COLAB)/python -m pytest $(SHORT) $(if $(TFPIX2PIX_SHORT),$(COLAB_SHORT),$(COLAB_TESTS))

# Prints the first Python that TensorFlow 2.15 exists for.
python-keras2:
	@for python in '$(PYTHON)' python3.11 python3.10; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null; \
	  then echo "$$python"; exit 0; fi; \
	done; \
	echo 'TensorFlow 2.15 needs Python 3.10 or 3.11, and there is none on PATH: call make PYTHON=...' >&2; exit 1

# PYTORCH names the Python to run PyTorch with, and BENCH further flags, such as --quick or --record.
bench: $(VENV)/.runtime  ## the main figures of speed, and what has changed since the recorded ones
	$(BIN)/python -m benchmarks.figures --pytorch=$(or $(PYTORCH),$(BIN)/python) $(BENCH)

lint: $(VENV)/.dev  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## static types
	$(BIN)/mypy

docs: $(VENV)/.docs  ## build the site of the guide and the reference into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build

wheel: $(VENV)/.dev  ## build the wheel into dist/
	rm -rf dist build/lib build/bdist.*
	$(BIN)/python -m build --wheel

wheel-test: $(if $(WHEEL),,wheel)  ## install the wheel in an empty environment and run the main job there
	rm -rf build/wheel-test && $(PYTHON) -m venv build/wheel-test/environment
	$(call install,build/wheel-test/environment/bin/python) $(or $(WHEEL),dist/*.whl)
	mkdir build/wheel-test/pipelines && echo 'raise ImportError' > build/wheel-test/pipelines/__init__.py
	cd build/wheel-test && environment/bin/python -m tfpix2pix.train --dataset=synthetic --steps=2 --image_size=128 --base_filters=16
	test -f build/wheel-test/saved_models/synthetic/1/saved_model.pb
	rm -rf build/wheel-test

clean:  ## remove the environments and what was built
	rm -rf $(VENV) $(VENV_KERAS2) $(VENV_COLAB) build dist *.egg-info

# The marks are written last: an interrupted installation is done again.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "tfpix2pix needs Python 3.10 or newer, this is " + sys.version.split()[0] + "; call make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: setup.py $(VENV)/bin/python
	$(call install,$(BIN)/python) --editable .
	touch $@

$(VENV)/.dev: setup.py $(VENV)/bin/python
	$(call install,$(BIN)/python) --editable '.[dev]'
	touch $@ $(VENV)/.runtime

$(VENV)/.docs: setup.py $(VENV)/bin/python
	$(call install,$(BIN)/python) --editable '.[docs]'
	touch $@ $(VENV)/.runtime

$(VENV_KERAS2)/bin/python:
	python=$$($(MAKE) --silent --no-print-directory python-keras2) && "$$python" -m venv $(VENV_KERAS2)

$(VENV_KERAS2)/.dev: setup.py $(VENV_KERAS2)/bin/python
	$(call install,$(BIN_KERAS2)/python) --editable '.[test-keras2]'
	touch $@
