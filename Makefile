# Everything there is to do here. `make run` and `make test` also install what they need: see tests/setup.sh.

CARGO_FLAGS ?= --locked
# Arguments for `make run`, for instance: make run ARGS="--data /var/tmp/demo"
ARGS ?=
# Folder of a real study for `make e2e-main`; one that lies beside the project is taken by itself, else a phantom is sent.
STUDY ?= $(wildcard ../shared/data/ct-head)

say = @printf '\n==== %s ====\n' "$(1)"
# cargo-deny lies in target/tools when the machine has none of its own.
with_tools = PATH="$$PWD/target/tools/bin:$$PATH"

.PHONY: help run web gateway test check check-web build unit peers gen e2e e2e-main e2e-web screenshots bench bench-ingest \
	bench-wan bench-web
.NOTPARALLEL:

help:
	@echo "make run           start a relay with sample people and studies on http://127.0.0.1:8080 and DICOM port 11112"
	@echo "make gateway       the clinic's program, one file: target/dist/medrelay-gateway"
	@echo "make web           the browser side, which becomes part of the relay: server/web/dist"
	@echo "make test          install what the tests need, check the source, run every test"
	@echo "make check         formatting, lints, rules for dependencies"
	@echo "make build         the programs and tests, unoptimized"
	@echo "make unit          the tests alone, without installing or checking anything"
	@echo "make peers         install the foreign software that the tests talk to"
	@echo "make e2e-main      the main job with stock DICOM software on both sides; STUDY=FOLDER sends that one"
	@echo "make e2e           the stories that need the built program: main job, crashes, full disks, hostile senders"
	@echo "make e2e-web       the main job in Chromium, with the built program; part of make e2e and make test"
	@echo "make screenshots   every page in both languages and two sizes, into screenshots/"
	@echo "make bench-ingest  how fast images come in, beside Orthanc and storescp"
	@echo "make bench-wan     how fast a study crosses a clinic's line, beside C-STORE and STOW-RS; as root, half an hour"
	@echo "make bench-web     how soon images are there in the browser, beside OHIF on the same relay and line; as root"
	@echo "make bench         every benchmark"
	@echo "make gen           write the generated files of config/ again"

run: web
	@sh tests/setup.sh run
	$(call say,building medrelay)
	cargo build --release $(CARGO_FLAGS) --package medrelay --bin medrelay
	$(call say,starting medrelay; stop it with Ctrl-C)
	@exec cargo run --quiet --release $(CARGO_FLAGS) --package medrelay --bin medrelay -- demo $(ARGS)

# One file for a clinic: without symbols it is a third of its size.
gateway:
	@sh tests/setup.sh run
	$(call say,building medrelay-gateway)
	cargo build --release $(CARGO_FLAGS) --package medrelay-client --bin medrelay-gateway
	@mkdir -p target/dist
	strip -o target/dist/medrelay-gateway target/release/medrelay-gateway
	@ls -l target/dist/medrelay-gateway

test: peers web check build unit e2e-web

# The pages are built again when one of their sources is newer than what was built, and the relay only when they have changed.
WEB := server/web
WEB_SOURCES = $(shell find $(WEB)/src $(WEB)/public $(WEB)/scripts -type f -not -name schema.d.ts) \
	$(WEB)/package.json $(WEB)/package-lock.json $(WEB)/index.html $(WEB)/vite.config.ts $(WEB)/tsconfig.json

web:
	@sh tests/setup.sh web
	@$(MAKE) --no-print-directory $(WEB)/dist/index.html.br

$(WEB)/dist/index.html.br: $(WEB_SOURCES)
	$(call say,building the pages)
	cd $(WEB) && npm run --silent build

check-web:
	@sh tests/setup.sh web
	$(call say,types and texts of the pages)
	cd $(WEB) && npm run --silent check
	$(call say,rules for the packages of the pages)
	cd $(WEB) && node scripts/licences.mjs
	$(call say,tests of the pages)
	cd $(WEB) && npm test --silent

peers:
	@sh tests/setup.sh peers

check: check-web
	@sh tests/setup.sh deny
	$(call say,formatting)
	cargo fmt --all --check
	$(call say,lints)
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- --deny warnings
	$(call say,rules for dependencies)
	@$(with_tools) cargo deny $(CARGO_FLAGS) check bans licenses sources

# One set of features for programs and tests, so that nothing is built twice.
build:
	$(call say,building)
	cargo build $(CARGO_FLAGS) --workspace --all-targets

unit: build
	$(call say,examples in the documentation)
	cargo test $(CARGO_FLAGS) --workspace --doc
	$(call say,tests)
	cargo test $(CARGO_FLAGS) --workspace --lib --bins --tests --no-fail-fast

# Selected from the whole workspace: a single package would have other features, and be built again.
e2e-main: peers build
	$(call say,the main job with stock software)
	$(if $(STUDY),MEDRELAY_TEST_STUDY="$$(cd "$(STUDY)" && pwd)" )cargo test $(CARGO_FLAGS) --workspace --test e2e_main -- --nocapture

e2e-web: peers web build
	$(call say,the main job in the browser)
	$(if $(STUDY),MEDRELAY_TEST_STUDY="$$(cd "$(STUDY)" && pwd)" )node --test --test-concurrency=2 tests/web/*.test.mjs

screenshots: peers web build
	$(call say,pictures of every page)
	node tests/web/screenshots.mjs screenshots

e2e: peers web build e2e-web
	$(call say,stories with the built program)
	cargo test $(CARGO_FLAGS) --workspace --no-fail-fast --test e2e_main --test journey --test crash --test disk --test hostile \
		--test gateway --test joining --test cuts --test full --test county

bench: bench-ingest bench-wan bench-web

# ARGS goes to the benchmark, for instance: make bench-ingest ARGS="--runs 1 --preindex 0"
bench-ingest: web
	@sh tests/setup.sh bench
	$(call say,building medrelay)
	cargo build --release $(CARGO_FLAGS) --package medrelay --bin medrelay
	$(call say,studies coming in over DICOM)
	python3 tests/bench/ingest.py $(ARGS)

# ARGS goes to the benchmark, for instance: make bench-wan ARGS="--lines 60/1/20 --only ours"
bench-wan: web
	@sh tests/setup.sh bench
	$(call say,building medrelay and its gateway)
	cargo build --release $(CARGO_FLAGS) --package medrelay --bin medrelay --package medrelay-client --bin medrelay-gateway
	$(call say,a study over four lines)
	python3 tests/bench/wan.py $(ARGS)

# ARGS goes to the benchmark, for instance: make bench-web ARGS="--lines 30/0/10 --only medrelay"
bench-web: web
	@sh tests/setup.sh bench
	$(call say,building medrelay)
	cargo build --release $(CARGO_FLAGS) --package medrelay --bin medrelay
	$(call say,images in the browser)
	python3 tests/bench/web.py $(ARGS)

gen:
	MEDRELAY_WRITE_GENERATED=1 cargo test $(CARGO_FLAGS) --package medrelay --lib generated
