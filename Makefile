# Thin names for what the harness and cargo do; see CONTRIBUTING.md. Everything that is missing is
# built once, with a word on how long that takes, and kept in ~/.cache/pai-operator.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TARGET := $(or $(CARGO_TARGET_DIR),target)
HARNESS := $(TARGET)/debug/pai-harness
CHART := charts/pai-operator
CRD := pai.tencentcloud.io_paiinstances.yaml
CARGO_DENY_VERSION := 0.20.2
# `make CARGO='cargo auditable' image` writes the list of crates into the program.
CARGO ?= cargo
MUSL := $(shell uname -m)-unknown-linux-musl
IMAGE_ARCH := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
STATIC := $(TARGET)/$(MUSL)/dist/pai-operator
# Both programs as `make programs` just built them, unless others are given.
export PAI_OPERATOR_BIN ?= $(abspath $(TARGET)/debug/pai-operator)
export PAI_SIMULATOR_BIN ?= $(abspath $(TARGET)/debug/tencentcloud-simulator)
# The Python programs of `make lint`, in a folder named for what pins them.
CHECKERS = $$($(HARNESS) cache)/lint-$$(sha256sum tests/lint/requirements.txt | cut -c 1-12)
# Scripts of ours: everything that a shell reads.
SCRIPTS := .ci/run tests/teeth/run

.PHONY: help demo up down test test-oldest test-image faults chaos teeth bench operator-static lint gen image programs tools harness \
        checkers advisories cargo-deny lint-rust lint-deny lint-chart lint-alerts lint-files lint-scripts

help:
	@echo 'make demo   the main job on real parts: install, create, wait, show, delete, stop'
	@echo 'make up     the local stack in the background; make down ends it'
	@echo 'make test   every test'
	@echo 'make test-oldest  chart, CRD, upgrade and rollback on Kubernetes 1.33'
	@echo 'make test-image  the image and the main job with the static program that is shipped'
	@echo 'make faults every crash point, all pairs of them, 10,000 random seeds (an hour on 2 cores)'
	@echo 'make chaos  100 objects while the operator is killed and the cloud misbehaves, twice: about 20 minutes'
	@echo 'make teeth  takes each guard away in turn: its test must fail'
	@echo 'make lint   formatting, clippy, licences, chart and manifests'
	@echo 'make advisories  known vulnerabilities of the dependencies, as of today'
	@echo 'make gen    regenerates the CRD, its copy in the chart, deploy/operator.yaml and the pages of reference'
	@echo 'make bench  measurements into target/bench/report.json'
	@echo 'make image  the container image'

# One cargo call for all programs: then they share their dependencies' features, and none is built twice.
programs:
	@[ -x $(HARNESS) ] || echo 'building our programs with cargo, usually 2 minutes on 2 cores'
	@cargo build --locked --workspace --bins

harness:
	@cargo build --locked --quiet --package pai-harness

tools: harness
	@$(HARNESS) tools

demo: programs
	@$(HARNESS) demo

up: programs
	@$(HARNESS) up

down: harness
	@$(HARNESS) down

# The programs are built first and named by the variables above, so that no test builds anything; a plain
# `cargo test` finds or builds them itself.
test: programs tools
	cargo test --workspace --locked --no-fail-fast

# What the API server judges, once more on the oldest version that we serve. Apart from `make test`, as it builds that server.
test-oldest: programs tools
	@PAI_KUBERNETES=oldest $(HARNESS) tool kube-apiserver > /dev/null
	PAI_KUBERNETES=oldest cargo test --locked --no-fail-fast --test chart --test crd
	PAI_KUBERNETES=oldest cargo test --locked --no-fail-fast --test e2e -- lifecycle page_example

# The short form of each is in `make test`.
SEEDS ?= 0..10000
faults:
	@echo 'building for release, usually 5 minutes; then it takes most of an hour on 2 cores'
	PAI_FAULT_SEEDS=$(SEEDS) PAI_CRASH_PAIRS=all cargo test --release --locked --test faults -- --nocapture --test-threads 1

# The test target of the same name in its full size, one run after the other: see docs/chaos.md.
chaos: programs tools
	PAI_CHAOS=full cargo test --locked --test chaos -- --nocapture --test-threads=1 operator

teeth:
	@tests/teeth/run

# The operator as it is shipped: one static program. ring's C and assembly need a C compiler and nothing of its library.
operator-static:
	@[ -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)" ] || rustup target add $(MUSL) || { \
	  echo 'the standard library for $(MUSL) is missing: install it with rustup or your distribution' >&2; exit 1; }
	CC_$(subst -,_,$(MUSL))=$(or $(CC),cc) $(CARGO) build --locked --profile dist --target $(MUSL) --bin pai-operator
	@echo $(STATIC)

# Measured is what is shipped. It needs a machine with nothing else to do.
bench: tools operator-static
	@echo 'building the stand-in cloud and the bench for release, usually 4 minutes; then it takes about 75 minutes'
	cargo build --locked --release --package tencentcloud-simulator --package pai-bench
	PAI_OPERATOR_BIN=$(abspath $(STATIC)) PAI_SIMULATOR_BIN=$(abspath $(TARGET)/release/tencentcloud-simulator) \
	  $(TARGET)/release/pai-bench

# An OCI layout in target/image: for skopeo, podman (`podman pull oci:target/image:pai-operator`) and the like. No engine is needed.
image: operator-static harness
	$(HARNESS) image --program $(STATIC) --to $(TARGET)/image --architecture $(IMAGE_ARCH) \
	  --revision "$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
	@echo '$(TARGET)/image:pai-operator'

# What is shipped: the image's checks and the main job with the static program, which `make test` does not build.
test-image: tools image
	PAI_IMAGE_PROGRAM=$(abspath $(STATIC)) cargo test --locked --test image
	PAI_OPERATOR_BIN=$(abspath $(STATIC)) $(HARNESS) demo

# The CRD comes from the Rust types; each file is replaced only when its program succeeded.
gen: programs
	@mkdir -p crds $(CHART)/files/crds target
	$(TARGET)/debug/pai-operator crd > target/crd.yaml
	cp target/crd.yaml crds/$(CRD)
	cp target/crd.yaml $(CHART)/files/crds/$(CRD)
	"$$($(HARNESS) tool helm)" template pai-operator $(CHART) --namespace pai-system > target/operator.yaml
	cp target/operator.yaml deploy/operator.yaml
	for overlay in ha namespaced restricted; do \
	  "$$($(HARNESS) tool helm)" template pai-operator $(CHART) --namespace pai-system \
	    --values $(CHART)/ci/$$overlay-values.yaml > target/operator.yaml; \
	  cp target/operator.yaml deploy/overlays/$$overlay/operator.yaml; \
	done
	"$$($(HARNESS) tool helm)" template pai-operator $(CHART) --namespace pai-system \
	  --values $(CHART)/ci/full-values.yaml > target/operator.yaml
	cp target/operator.yaml tests/chart/golden/full.yaml
	PAI_WRITE_REFERENCE=1 cargo test --quiet --locked --test reference -- the_page

lint: lint-rust lint-chart lint-alerts lint-files lint-scripts lint-deny

lint-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

CARGO_DENY = "$$($(HARNESS) cache)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny"

# Built without optimisation: it runs for a second and would compile for minutes more.
cargo-deny: harness
	@cache="$$($(HARNESS) cache)/cargo-deny-$(CARGO_DENY_VERSION)"; \
	if [ ! -x "$$cache/bin/cargo-deny" ]; then \
	  echo "building cargo-deny $(CARGO_DENY_VERSION) once, usually 4 minutes on 2 cores; it is kept in $$cache"; \
	  cargo install --locked --quiet --debug --root "$$cache" "cargo-deny@$(CARGO_DENY_VERSION)"; \
	fi
	@cargo fetch --locked --quiet

lint-deny: cargo-deny
	$(CARGO_DENY) --offline --all-features check bans licenses sources

# Apart from `make lint`: its answer depends on the day, and it fetches the database of RustSec.
advisories: cargo-deny
	$(CARGO_DENY) --all-features check advisories

# Checks of kube-score that all but the restricted values ignore:
# - pod-networkpolicy: the policy is an option, since the addresses of API servers differ;
# - container-image-pull-policy: `Always` would stop a restart while the registry is down, and the
#   image is pinned by version; the restricted values have it, with a digest.
LOOSE := --ignore-test pod-networkpolicy --ignore-test container-image-pull-policy

lint-chart: harness
	@$(HARNESS) tools --lint
	@for values in $(CHART)/ci/*.yaml; do \
	  echo "checking the chart with $$values"; \
	  "$$($(HARNESS) tool helm)" lint --strict --quiet $(CHART) --values "$$values"; \
	  case "$$values" in */restricted-values.yaml) ignored= ;; *) ignored='$(LOOSE)' ;; esac; \
	  "$$($(HARNESS) tool helm)" template pai-operator $(CHART) --namespace pai-system --values "$$values" \
	    | "$$($(HARNESS) tool kube-score)" score $$ignored -; \
	done

# Each alert has a case that fires and one that is silent.
lint-alerts: harness
	@"$$($(HARNESS) tool promtool)" check rules --lint=all $(CHART)/files/alerts.yaml
	@"$$($(HARNESS) tool promtool)" test rules tests/alerts/alerts.yaml

# The mark is set last: an installation that was interrupted is made anew.
checkers: harness
	@folder="$(CHECKERS)"; \
	if [ ! -e "$$folder/complete" ]; then \
	  echo "installing shellcheck, yamllint, pymarkdown, typos, zizmor, hadolint, detect-secrets and checkov once, usually 2 minutes; they are kept in $$folder"; \
	  rm -rf "$$folder"; \
	  python3 -m venv "$$folder"; \
	  "$$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement tests/lint/requirements.txt; \
	  touch "$$folder/complete"; \
	fi

# Workflow files, YAML, Markdown, prose and the Dockerfile, each by a checker of its own. pymarkdown without: long lines (tables), tabs (real
# output), commands without output. detect-secrets goes by the form of keys, the cloud's among them, not by entropy; the ids of the vendor's
# example and of the signature vectors are let through. checkov judges the strictest rendering: no failure, nothing skipped. The links are followed by tests/docs.
lint-files: checkers
	@bin="$(CHECKERS)/bin"; \
	"$$bin/yamllint" --strict --config-file tests/lint/yamllint.yaml .github charts/pai-operator/values.yaml charts/pai-operator/ci \
	  charts/pai-operator/Chart.yaml charts/pai-operator/files/alerts.yaml deploy tests/alerts; \
	git ls-files -z '*.md' ':!tests/bench/src' | xargs -0 "$$bin/pymarkdown" --disable-rules md010,md013,md014 scan; \
	git ls-files -z | xargs -0 "$$bin/detect-secrets-hook" --plugin tests/lint/secret_id.py --exclude-secrets '^AKID(z8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE|(DUMMY)+01)$$' \
	  --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString --disable-plugin KeywordDetector; \
	"$$bin/typos" --config tests/lint/typos.toml; \
	"$$bin/zizmor" --offline --quiet .github/workflows; \
	"$$bin/hadolint" Dockerfile; \
	"$$($(HARNESS) tool actionlint)" -shellcheck "$$bin/shellcheck" -pyflakes= .github/workflows/*.yaml; \
	mkdir -p target; \
	"$$($(HARNESS) tool helm)" template pai-operator $(CHART) --namespace pai-system --values $(CHART)/ci/restricted-values.yaml > target/restricted.yaml; \
	"$$bin/checkov" --file target/restricted.yaml --framework kubernetes --skip-download --compact --quiet > target/checkov || \
	  { cat target/checkov; exit 1; }; \
	grep '^Passed checks: [1-9][0-9]*, Failed checks: 0, Skipped checks: 0$$' target/checkov || \
	  { cat target/checkov; echo 'checkov skipped something or judged nothing' >&2; exit 1; }

lint-scripts: checkers
	@"$(CHECKERS)/bin/shellcheck" $(SCRIPTS)
