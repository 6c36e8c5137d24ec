# make demo    environment, demo cohort, the whole workflow on all cores
# make demo-real  real slides by real weights that came with the environment: minutes
# make test    environment, tests
# make test-all  the same, and what takes long: whole runs that are killed, trained, exchanged, ...
# make lint    what CI checks besides the tests
# make audit   known vulnerabilities of the locked versions; needs the internet
PYTHON ?= python3
CORES ?= all
WORKERS ?= auto
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: demo demo-real test test-all lint docs docs-site audit clean

demo: .venv/.ready
	$(RUN) python -m hipt.demo --out demo
	$(RUN) snakemake --cores $(CORES) --configfile config/demo.yaml
	@echo "The report: $(CURDIR)/demo/results/report.html"

# The slide that the tests have, and SLIDES: those beside the checkout, or your own. One of them
# states no resolution, which default_mpp is for.
SLIDES ?= $(wildcard ../shared/slides/whole/*.tif)
demo-real: .venv/.ready
	mkdir -p demo-real/slides
	ln -sf $(abspath tests/data/slides/CMU-1-Small-Region.svs $(SLIDES)) demo-real/slides/
	$(RUN) snakemake --cores $(CORES) --configfile config/first_look.yaml \
	  --config results=demo-real/results slides='{sheet: demo-real/slides, default_mpp: 0.5}'
	$(RUN) python docs/result_picture.py demo-real/results demo-real/picture.jpg
	@echo "The report: $(CURDIR)/demo-real/results/report.html, in one picture: $(CURDIR)/demo-real/picture.jpg"

# A worker per core, each with one thread, since they share the cores; one that has no test left
# takes some of another's. Tests start hipt some hundred times: what is compiled is kept.
PYTEST = $(RUN) OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= python -m pytest -n $(WORKERS) --dist worksteal --durations 10

test: .venv/.ready
	$(PYTEST) $(ARGS)

test-all: export HIPT_ALL ?= 1
test-all: .venv/.ready
	$(PYTEST) $(ARGS)

lint: .venv/.ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy hipt
	$(RUN) mypy --python-version 3.14 hipt
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) codespell
	$(RUN) snakemake --lint --configfile tests/workflow/lint.yaml

# What is generated: from hipt/config/config.py the JSON schema and docs/config.md, from the packages'
# metadata docs/licences.md.
docs: .venv/.ready
	$(RUN) PYTHONPATH="$(CURDIR)" python docs/generate.py
	$(RUN) python docs/licences.py

# Strictly: a link that leads nowhere, or a page that docs/README.md does not list, is an error.
docs-site: .venv/.ready
	$(RUN) python -m sphinx --fresh-env --fail-on-warning --quiet -c docs/site -d build/doctrees . build/site
	@echo "The site: $(CURDIR)/build/site/index.html"

audit: .venv/.ready
	$(RUN) .ci/audit.sh

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hipt needs Python 3.11 or later; name one: make PYTHON=python3.12"; exit 1; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -c constraints.txt uv \
	  && .venv/bin/uv pip install --compile-bytecode --python .venv/bin/python \
	    -c constraints.txt --build-constraints constraints.txt -e '.[dev,docs,slurm]' \
	  || PIP_CONSTRAINT=constraints.txt .venv/bin/python -m pip install -e '.[dev,docs,slurm]'
	touch $@

clean:
	rm -rf .venv demo demo-real .snakemake
