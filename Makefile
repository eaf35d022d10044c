# Every target is a line or two; `make help` lists them.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= ghcr.io/hpatune/hpatune:$(VERSION)
BASE    ?= origin/main
LDFLAGS  = -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build test race lint lint-new vet-others vulncheck golden fuzz demo check ci bench bench-loadgen conformance conformance-full mutants evaluate evaluate-quick evaluate-public e2e e2e-full image tidy

help: ## what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

build: ## the program, into bin/hpatune
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/hpatune ./cmd/hpatune

test: ## all tests of the product (what the README says)
	$(GO) test ./...

race: ## the rooms that start goroutines or share memory, under the race detector
	$(GO) test -race -short $$(git grep -lE '"sync["/]|^[[:space:]]+go [a-zA-Z]' -- '*.go' ':!test' | xargs -n1 dirname | sort -u | sed 's|^|./|')

lint: ## gofmt and the linters of .golangci.yml; what they read is compiled while the linter is built
	$(GO) list -export -deps -test ./... >/dev/null & $(MAKE) bin/golangci-lint && wait
	GOGC=300 bin/golangci-lint run

lint-new: bin/golangci-lint ## lines that are new since BASE keep to 120 columns in tests, too
	bin/golangci-lint run -c test/lint/new.yml --new-from-merge-base=$(BASE)

bin/golangci-lint: test/lint/go.mod
	$(GO) -C test/lint build -gcflags='github.com/...=-dwarf=false' -ldflags '-s -w' -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

vet-others: ## vet for macOS and Windows, of the rooms that have files for one system only
	for os in darwin windows; do GOOS=$$os $(GO) vet $$(GOOS=$$os $(GO) list -f '{{range .IgnoredGoFiles}}{{$$.ImportPath}} {{.}}{{"\n"}}{{end}}' ./... | grep -v _test.go | cut -d' ' -f1 | sort -u) || exit 1; done

vulncheck: ## known vulnerabilities in what the program calls (asks vuln.go.dev)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

golden: ## rewrite golden files; read the diff before you commit it
	$(GO) test ./... -update

fuzz: ## every parser for 10 s each
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep ^Fuzz); do echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 10s $$p || exit 1; done; done

demo: ## the whole job on this machine, no cluster
	$(GO) run ./cmd/hpatune demo

check: lint ## before each commit: lint and the short tests
	$(GO) test -short ./...

ci: lint vet-others test race conformance demo ## what .ci/run does, except the cluster

bench: ## speed of the core, the replay and the log, with bytes a request
	$(GO) test -run '^$$' -bench . -benchmem ./tuner/hpa ./tuner/replay ./internal/store
	$(GO) -C test/conformance test -run '^$$' -bench . -benchtime 200x .

bench-loadgen: ## the load generator beside its peers
	$(GO) test -run '^$$' -bench . -benchmem ./loadgen
	$(GO) -C test/bench-loadgen run . -o json

conformance: ## the scaling core against the real controller, 2,000 scenarios
	$(GO) -C test/conformance test ./...

conformance-full: ## the same, 100,000 scenarios
	$(GO) -C test/conformance test . -scenarios 100000 -timeout 3h

mutants: ## mutate by rule the scaling core (95 % must be noticed) and how tuner chooses (90 % of each file)
	$(GO) -C test/conformance run ./mutants
	$(GO) -C test/conformance run ./mutants -choice

evaluate: ## recommendations against the truth of synthetic clusters, within 2 hours; ARGS="-world NAME"
	$(GO) -C test/evaluate run . -budget 110m $(ARGS)

evaluate-quick: ## three of these worlds, in some three minutes
	$(GO) -C test/evaluate test ./...
	$(GO) -C test/evaluate run . -quick $(ARGS)

evaluate-public: ## against what others measured: TRUTH=DIR with *.requests.csv of vLLM servers; without it, only what is stated
	$(GO) -C test/evaluate run ./public -truth '$(if $(TRUTH),$(abspath $(TRUTH)))'

e2e: ## the product on a real cluster: built, brought up, run, brought down (root, Linux; or KUBECONFIG)
	$(GO) -C test/cluster run ./cmd/hpacluster test -- -v

e2e-full: ## the same with pairs, profiles, faults and KEDA: five hours
	$(GO) -C test/cluster run ./cmd/hpacluster test -- -v -timeout 7h -args -full

image: ## an image from scratch for run --workers, into bin/hpatune-image.tar (no Docker; IMAGE=name:tag)
	CGO_ENABLED=0 GOOS=linux $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/hpatune-linux ./cmd/hpatune
	$(GO) run ./internal/fleet/mkimage -program bin/hpatune-linux -ref $(IMAGE) -arch $$($(GO) env GOARCH) -out bin/hpatune-image.tar

tidy: ## go.mod and go.sum of every module
	$(GO) mod tidy
	for m in $$(git ls-files 'test/*/go.mod'); do $(GO) -C $$(dirname $$m) mod tidy; done
