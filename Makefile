# shield: build, test and try it. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := all
GO ?= go
BIN := bin
RELEASE ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(RELEASE),-X github.com/shieldhq/shield/internal/version.release=$(RELEASE))
PROGRAMS := shieldd shield-agent shield-schema shield
ARGS ?=
# Plugins break connections and wait for what stalls, against real servers: one
# of them at a time gets the whole machine.
RACE = $(GO) test $(RACE_FLAGS) -timeout 40m $$($(GO) list ./... | grep -v /plugins-wasm/) && \
	$(GO) test $(RACE_FLAGS) -timeout 40m -p 1 ./plugins-wasm/...
# The race detector watches our code and what it shares with others. Inside the
# translated SQL engine, a code generator and a hash, none of which shares
# anything, it finds nothing and takes several times as long. A package with
# locks, atomics or maps of package sync cannot be left out: the linker may take
# its copy of generic code for that of all, and races would be seen where none
# are.
CALM = modernc.org/sqlite/lib modernc.org/memory github.com/tetratelabs/wazero/internal/engine/wazevo/backend/... \
	github.com/tetratelabs/wazero/internal/leb128 github.com/tetratelabs/wazero/internal/wasm/binary github.com/zeebo/blake3/...
RACE_FLAGS = -race $(foreach p,$(CALM),-gcflags=$(p)=-race=false)

.PHONY: all help shield plugin plugins test tests race simulation coverage report lint vuln generate ui ui-shots quickstart bench fixme fixmes deps clean

all: tests shield ## Run the tests and build every binary (default)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z ]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

shield: plugins ## Build shieldd, shield-agent, shield-schema and shield into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ $(PROGRAMS:%=./cmd/%)

# What has the build constraint !wasip1 becomes an executable only; the programs
# have it compiled in (internal/nativeplugins).
plugin plugins: ## Build the bundled plugins: as Wasm into the programs, as executables into bin/plugins/
	@mkdir -p $(BIN)/plugins $(BIN)/wasm
	@for d in plugins-wasm/*/main.go; do n=$$(basename $$(dirname $$d)); \
		echo "building plugin $$n"; \
		CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/plugins/$$n ./plugins-wasm/$$n || exit 1; \
		if grep -q '^//go:build !wasip1$$' $$d; then continue; fi; \
		GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/wasm/$$n.wasm ./plugins-wasm/$$n && \
		$(GO) run ./internal/bundled/pack $(BIN)/wasm/$$n.wasm $(BIN)/plugins/$$n internal/bundled/dist/$$n.wasm.zst || exit 1; done

test tests: deps plugins lint ## Install what the tests need, build the plugins, lint, run all tests with the race detector
	$(RACE)

race: plugins ## Run the tests with the race detector, without set-up
	$(RACE)

SEEDS ?= 3000
FIRST ?= 1
simulation: ## Let schedulers live through faults of every kind: make simulation [SEEDS=3000] [FIRST=1]
	$(GO) test -timeout 2h ./scheduler -run TestSimulation -simulation.seeds $(SEEDS) -simulation.first $(FIRST)

coverage: plugins ## Run the tests and print the coverage of each package
	$(GO) test -timeout 20m -cover ./...

report: ## Show the coverage of one package as HTML: make report FOR=task
	@test -n "$(FOR)" || { echo "say which package: make report FOR=task"; exit 2; }
	@mkdir -p coverage
	$(GO) test -timeout 20m -coverprofile=coverage/report.out ./$(FOR)
	$(GO) tool cover -html=coverage/report.out -o coverage/$(subst /,-,$(FOR)).html
	@echo "coverage/$(subst /,-,$(FOR)).html"

lint: ## Check format, vet and staticcheck
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not formatted: $$bad"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

vuln: ## Look for known vulnerabilities (asks the Go vulnerability database)
	$(GO) tool govulncheck ./...

generate: ## Make generated files anew
	$(GO) generate ./...

ui: ## Build the web page into server/ui/dist, which is committed
	cd server/ui && npm ci --no-audit --no-fund --ignore-scripts && ./node node_modules/vite/bin/vite.js build

ui-shots: ## Write screenshots of the web UI to server/ui/shots: make ui-shots [ONLY='^job$$']
	$(GO) test -timeout 20m -count 1 ./server/ui -run '^TestShots$$' -shots $(CURDIR)/server/ui/shots -only '$(ONLY)'

quickstart: shield ## Back up a real tree, restore it, compare: make quickstart [ARGS=--exit]
	$(GO) run ./examples/quickstart -bin $(BIN) $(ARGS)

bench: shield ## Measure against peers in one run, on an idle machine
	./scripts/deps bench
	./scripts/deps test
	./scripts/servers
	$(GO) run ./bench -bin $(BIN) $(ARGS)

fixme fixmes: ## List marks that somebody left to mend
	@git grep -nE '\b(FIXME|TODO|XXX)\b' -- ':!Makefile' || echo "there are none"

deps: ## Install and build what the tests need: Debian packages, servers
	./scripts/deps test
	./scripts/servers

clean: ## Remove what was built
	rm -rf $(BIN) coverage
