.DEFAULT_GOAL := help

.PHONY: help
help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- checks -----------------------------------------------------------------------------------------------------------
# The quick ones first. What Rust does not bring along is fetched by scripts/tool at first use.

.PHONY: check
check: ## Format, lints, licences, unused dependencies, protos
	cargo fmt --all --check
	scripts/no-unfinished-code
	scripts/tool buf lint
	scripts/tool cargo-machete
	scripts/tool cargo-deny --locked check bans licenses sources
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Apart from `check`, because the advisory database is a git repository on github.com, which not every network reaches.
.PHONY: advisories
advisories: ## Known vulnerabilities and yanked versions among the dependencies (needs github.com)
	scripts/tool cargo-deny --locked check advisories
