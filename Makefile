# gtiv: `make` shows the targets. Tools are pinned here; the Go version is in go.mod.

DATA        ?= ./data
OFFSET      ?= 0
ROUNDS      ?= 25
T           ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.6.1
NFPM        := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
DEBVERSION  := $(patsubst v%,%,$(if $(filter v%,$(VERSION)),$(VERSION),0.0.0~$(VERSION)))
LDFLAGS     := -s -w -X gtiv/packaging.version=$(VERSION)
export GOTOOLCHAIN ?= local

# What the tests run besides Go: a publisher and player, a browser, a race detector.
DEB_TEST := ffmpeg chromium gcc libc6-dev

.DEFAULT_GOAL := help
.PHONY: help run build fmt check test unit soak bench fuzz crash package clean deps-test

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: build ## Build and start a server on ./data (DATA=DIR, OFFSET=N to shift the ports).
	@packaging/welcome.sh "$(DATA)" "$(OFFSET)"
	@exec ./bin/gtiv serve --data "$(DATA)" --port-offset "$(OFFSET)"

build: ## Build the one static binary, ./bin/gtiv.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/gtiv .

fmt: ## Format the code.
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

check: ## Everything that is checked without running: format, vet, staticcheck, tidy.
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$out" ]; then echo "not formatted, run make fmt:"; echo "$$out"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	GOARCH=386 CGO_ENABLED=0 go vet ./protocol/... ./store/... ./daemon/gateway/... $$(go list ./media/... | grep -v media/rtmp)

test: deps-test ## Install what the tests need and run them all, with the race detector.
	CGO_ENABLED=1 go test -race -timeout 20m ./...

unit: ## The quick tests only: no end-to-end, crash and fault runs.
	CGO_ENABLED=1 go test -race -short ./...

soak: deps-test ## What takes longer: more crash rounds, longer fuzzing.
	$(MAKE) crash ROUNDS=300
	$(MAKE) fuzz T=5m

bench: ## Measure, and write the figures to BENCHMARKS.md.
	go run ./daemon/bench -write

fuzz: ## Run every fuzz target for a while (T=30s).
	@set -e; for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(T) -fuzzminimizetime=1x $$pkg; done; done

crash: ## Kill the daemon again and again under load (ROUNDS=1000) and look for lost messages.
	ROUNDS=$(ROUNDS) CGO_ENABLED=1 go test -race -timeout 0 -count 1 -v -run '^TestCrash' ./daemon

package: build ## Build a Debian package into ./dist.
	mkdir -p dist
	VERSION='$(DEBVERSION)' go run $(NFPM) package -f packaging/nfpm.yaml -p deb -t dist

clean: ## Remove what was built; never the data.
	rm -rf bin dist

deps-test:
	@packaging/install-deps.sh $(DEB_TEST)
