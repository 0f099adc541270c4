# Lignum. `make` alone lists the targets. Everything but `clients` needs only Go, git and make; `check` also a C compiler,
# for the race detector; `cluster-test` cuts networks only as root.

GO       ?= go
ARGS     ?=
DATA_DIR ?= lignum-data
LISTEN   ?= 127.0.0.1:9092
SEED     ?=
SEEDS    ?=
SCENARIO ?= single
FROM     ?= $(shell date +%s)000
FUZZTIME ?= 20s
BENCH    ?= .
PKG      ?= ./...
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

LIGNUM = bin/lignum

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start a single broker on LISTEN (127.0.0.1:9092), data in DATA_DIR (lignum-data); ARGS are passed on
	$(LIGNUM) serve --data-dir $(DATA_DIR) --listen $(LISTEN) $(ARGS)

.PHONY: cluster
cluster: build ## start three brokers on loopback (localhost:19092 to 19094), data in lignum-cluster; Ctrl-C stops them
	deploy/cluster

.PHONY: build
build: ## build the static binary bin/lignum
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o $(LIGNUM) ./cmd/lignum

.PHONY: test
test: ## run the tests
	$(GO) test $(PKG)

.PHONY: check
check: lint sim-batch ## everything a change must pass: gofmt, go vet, staticcheck, sim-batch, tests with the race detector in random order
	$(GO) test -race -shuffle=on $$($(GO) list $(PKG) | grep -v /scenarios$$)
	$(GO) test -race -short -shuffle=on ./scenarios

.PHONY: lint
lint: ## gofmt, go vet and staticcheck alone
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet $(PKG)
	$(GO) tool staticcheck $(PKG)

.PHONY: sim
sim: build ## simulate SEEDS (100) fresh seeds of SCENARIO (single), each twice, and compare traces; SEED=n tells the story of one
	$(LIGNUM) sim $(if $(SEED),replay --seed $(SEED),run --twice --seeds $(or $(SEEDS),100) --from $(FROM)) --scenario $(SCENARIO) $(ARGS)

.PHONY: sim-batch
sim-batch: build ## simulate 1,000 short seeds of each scenario, each twice, in which every kind of fault must happen
	@set -e; for scenario in $$($(LIGNUM) sim list | cut -d ' ' -f 1); do \
		echo "$(LIGNUM) sim run --scenario $$scenario --twice --seeds 1000 --from 20001 --length 6s"; \
		$(LIGNUM) sim run --scenario $$scenario --twice --seeds 1000 --from 20001 --length 6s; \
	done

.PHONY: sim-long
sim-long: build ## simulate fresh seeds of SCENARIO for an hour, or SEEDS of them; started again it goes on, from .sim/SCENARIO.json
	$(LIGNUM) sim run --scenario $(SCENARIO) --from $(FROM) --state .sim/$(SCENARIO).json $(if $(SEEDS),--seeds $(SEEDS),--seeds 1000000000 --within 1h) $(ARGS)

.PHONY: sim-arch
sim-arch: ## the traces of pinned seeds, of the scenarios too, on amd64 and arm64 (emulated), with and without -race, with other GOGC and GOMAXPROCS
	sim/arch

.PHONY: mutants
mutants: ## put known defects back, one at a time, and count the seeds until one is found; ARGS are passed on (ids, -budget 2m)
	$(GO) run ./scenarios/mutants $(ARGS)

.PHONY: bench
bench: build ## the packages' benchmarks, then the binary over loopback beside the machine's own limits
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./core/... ./transport/... ./disk/...
	$(LIGNUM) perf $(ARGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	@set -e; for package in $$($(GO) list $(PKG)); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: clients
clients: build ## real Kafka clients against the binary (installs what it needs)
	scenarios/clients/run

.PHONY: cluster-test
cluster-test: build ## real clients against three brokers that are killed, stopped and cut off (the latter as root); ARGS=-cluster-time=10m
	LIGNUM_BINARY=$(CURDIR)/$(LIGNUM) scenarios/clients/run --cluster -- $(ARGS)

.PHONY: clean
clean: ## remove what was built; data stays
	rm -rf bin
