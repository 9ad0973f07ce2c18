# What a user of this repository types. Needs Rust, a C compiler, Java 17 and Maven; Docker for compose-test alone.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help build up down demo test test-faults fuzz schemathesis chaos servers bench counts check interface interface-check k8s-check observe-check pages-check compose-test advisories

# make up DETACH=1 PORT_BASE=20000 PROFILE=bench BROKERS=3 DATA=/tmp/somewhere; RELEASE=1 builds longer and runs faster.
# The rest share one build: what `make demo` built, `make test` does not build again.
PORTS = $(if $(PORT_BASE),--port-base $(PORT_BASE))
UP = $(PORTS) $(if $(DETACH),--detach) $(if $(PROFILE),--profile $(PROFILE)) $(if $(BROKERS),--brokers $(BROKERS))
WHERE = $(if $(DATA),--data $(DATA))
POSTBOX = target/$(if $(RELEASE),release,debug)/postbox

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

# the package of the journeys switches kill points on in all that is built along with it: no release is
build: ## every program; RELEASE=1: optimised; BUILT=1: what is there will do
	$(if $(BUILT),,cargo build --locked $(if $(RELEASE),--release --exclude journeys) --workspace --bins)

up: build ## the whole platform on this machine; DETACH=1: in the background
	$(POSTBOX) up $(UP) $(WHERE)

down: ## stops what `make up` started
	$(POSTBOX) down $(WHERE)

demo: build ## starts the platform afresh, plays the main story, stops; fails when anything was not seen
	@data=$$(mktemp -d /tmp/postbox-demo.XXXXXX) && chmod 755 "$$data" || exit 1; \
	trap '$(POSTBOX) down --data "$$data"' EXIT; trap 'exit 130' INT TERM; \
	$(POSTBOX) up --detach --data "$$data" $(PORTS) && $(POSTBOX) demo --data "$$data" || \
	{ code=$$?; echo "the logs stay in $$data/logs"; exit $$code; }; \
	trap - EXIT; $(POSTBOX) down --data "$$data" && rm -rf "$$data"

# one build for programs and tests: built one by one, the same crates would be built again with other features
test: ## every test but the fault rows, with a real Postgres and a real Kafka
	cargo build --locked --workspace --bins --tests
	target/debug/with-servers cargo test --locked --workspace --no-fail-fast

# the same build as for `make test`: who has run that has nothing to build
test-faults: ## the fault table, short: services and servers killed, cut off, paused while customers order
	cargo build --locked --workspace --bins --tests
	target/debug/faults --short

# make fuzz FOR=1m NAMES='tokens psp/books': those alone, shorter. KEEP=1 only keeps what is worth it of what was found
fuzz: ## whatever strangers may send, by libFuzzer: each target for FOR=10m; what breaks something becomes a test
	scripts/fuzz --for $(or $(FOR),10m) $(if $(KEEP),--keep) $(NAMES)

# apart from test: it needs PyPI. EXAMPLES=20 is quicker; SEED=… repeats a run
schemathesis: build ## a running platform against its own interface description, as a customer and as an operator; needs PyPI
	scripts/schemathesis $(if $(EXAMPLES),--examples $(EXAMPLES)) $(PORTS) $(if $(SEED),--seed $(SEED))

# the services as they are released, without kill points; what needs those takes the programs of the other build
chaos: ## the fault table, long, on an optimised build; writes the figures into docs/reliability.md
	cargo build --locked --release --workspace --exclude journeys --bins
	cargo build --locked --workspace --bins --tests
	target/debug/faults --long --programs target/release --report docs/reliability.md

servers: build ## a Postgres and a Kafka for tests in another terminal; prints what to source there
	@target/debug/with-servers

# make bench QUICK=1 shows within three minutes that it works, and leaves the published page alone; PAGE=FOLDER: another place for it.
# make bench WHAT='throughput --quick': one of its commands, with options; `--page docs` puts what it measured into the page
QUICK_PAGE = $(or $(PAGE),target/performance)
bench: ## every figure, and docs/performance.md made of them; optimised build, the better part of an hour; QUICK=1: 3 minutes
	cargo build --locked --profile release-quick --workspace --exclude journeys --bins
	target/release-quick/bench $(or $(WHAT),all $(if $(QUICK),--quick --page $(QUICK_PAGE),--page $(or $(PAGE),docs)))

# on the build of `make test`; ACCEPT=1 keeps what was counted
counts: ## instructions of the hot functions, against those that are kept; needs Valgrind
	scripts/instruction-counts $(if $(ACCEPT),--accept)

# what Rust does not bring along is fetched by scripts/tool at first use; the quick checks come first
check: ## format, lints, licences, unused dependencies, protos
	cargo fmt --all --check
	scripts/no-unfinished-code
	scripts/tool buf lint
	scripts/tool cargo-machete
	scripts/tool cargo-deny --locked check bans licenses sources
	cargo clippy --workspace --all-targets --features journeys/tools --locked -- -D warnings

# a test fails when it was forgotten
interface: build ## docs/openapi.json: what the gateway says of its interface
	target/debug/gateway openapi >target/openapi.json
	mv target/openapi.json docs/openapi.json

# apart from check: it needs Go
interface-check: ## what clients and other versions of services rely on, against the last release; needs Go
	scripts/interface-check

# apart from check: it needs Go, and the schemas and rules are 460 MB in the cache
k8s-check: ## the manifests in k8s/, without a cluster; then the checks themselves
	scripts/tool k8s-python scripts/k8s-check
	scripts/tool k8s-python scripts/k8s-check --self-test

# apart from check: Prometheus's own tool is compiled, once, for some minutes
observe-check: ## what Prometheus scrapes and alerts on, by its own tool; when alerts are raised and when not; needs Go
	scripts/tool promtool check config deploy/observe/prometheus.yml
	scripts/tool promtool test rules deploy/observe/rules-test.yml

# apart from test: it needs Go and Node; on the build of `make test`
pages-check: ## docs/grpc.md with grpcurl and docs/postbox.http with httpyac, as their readers use them; needs Go and Node
	GRPCURL=$$(scripts/tool --where grpcurl) HTTPYAC=$$(scripts/tool --where httpyac) \
	target/debug/with-servers cargo test --locked --workspace --features journeys/tools --test with_tools

# the engine is the one that is there, or that POSTBOX_ENGINE names; without one it says so and tries nothing
compose-test: ## the images and docker-compose.yml, live: built, started, ordered from, killed, audited; needs Docker
	scripts/compose-test

# apart from check: the advisory database is a git repository on github.com, which not every network reaches
advisories: ## known vulnerabilities and yanked versions among the dependencies; needs github.com
	scripts/tool cargo-deny --locked check advisories
