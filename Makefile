# The commands of this repository; `make help` lists them. Every tool runs through $(ENV), which
# is the machine's own toolchain or the private one that `make setup` made.

.DEFAULT_GOAL := help
# In `make setup test`, one after the other.
.NOTPARALLEL:
SHELL := bash
ENV := tests/rig/env
# dune takes no second command on the same build directory: the later one waits, and says so.
DUNE := $(ENV) tests/rig/alone build/dune.lock dune

# Other crates' traits on mirust::net, for all of which there are examples in the documentation.
TRAITS := mirust/embedded-nal-async,mirust/futures-io,mirust/hyper,mirust/redb,mirust/tokio
# The crates of the runtime.
RT := $(addprefix -p mirust-,rt $(patsubst rust-rt/%/Cargo.toml,%,$(wildcard rust-rt/*/Cargo.toml)))

# The application: one of examples/, or any directory by APP=path.
EXAMPLE ?= hello
APP ?= examples/$(EXAMPLE)
# Or a MirageOS unikernel, in which `mirage configure -t xen` was run, by MIRAGE=path; LOOP=mirust for our loop
# and network below it instead of Mirage's own.
LOOP ?= mirage
# What is written in a command is taken as it is: a path may have a dollar.
# MIRAGE= in a command is a mistake; in the environment, it is as good as none.
ifneq (,$(filter command,$(origin MIRAGE))$(value MIRAGE))
override APP := $(value MIRAGE)
else ifneq (file,$(origin APP))
override APP := $(value APP)
endif
# A text as one word of the shell.
quoted = '$(subst ','\'',$(1))'
NAME = $(shell basename -- $(call quoted,$(APP)))

##@ Begin here
.PHONY: help
help: ## Lists these targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Installs the toolchain and the test rig (safe to repeat)
	@tests/rig/setup

.PHONY: new
KIND ?= ocaml
new: ## Writes a starter application: APP=../my-app KIND=ocaml, rust, both or mirage
	@template/new $(call quoted,$(KIND)) $(if $(findstring file,$(origin APP)),'',$(call quoted,$(APP)))

##@ Build and run a program
.PHONY: run
run: xen ## Boots build/xen/NAME.elf as a domU of a real Xen (EXAMPLE=name or APP=dir; ARGS= for xen-run)
	@exec tests/rig/xen-run $(ARGS) build/xen/$(call quoted,$(NAME)).elf

.PHONY: xen unix
xen: ## Builds build/xen/NAME.elf, NAME.cfg and NAME.xml (EXAMPLE=name, APP=dir or MIRAGE=dir)
	@$(ENV) ffi/link/build xen $(call quoted,$(APP)) $(if $(MIRAGE),$(LOOP))
unix: ## Builds build/unix/NAME, the same program as a Linux process
	@$(ENV) ffi/link/build unix $(call quoted,$(APP)) $(if $(MIRAGE),$(LOOP))

.PHONY: size
size: xen ## Says what build/xen/NAME.elf is made of, in bytes
	@$(ENV) rust-rt/link/sizes build/xen/$(call quoted,$(NAME)).elf.dbg

##@ Test
.PHONY: test test-xen test-cargo test-crates test-suites test-tutorial
test: ## Runs all tests except the slow ones, two parts at a time (LANES=1: one)
	@tests/rig/steps 'make test-unit' 'make test-boot' 'make test-cargo' 'tests/rig/xen-test --only-build' 'make test-net' \
	    'make test-tutorial' -- 'make test-xen BUILD=0'
test-xen: ## Runs tests/xen on a real Xen in QEMU (SKIP_XEN=1 leaves them out, BUILD=0 uses the images that are there)
	@tests/rig/xen-test $(if $(filter 0,$(BUILD)),--no-build)
test-cargo: ## Builds and boots ordinary crates with `cargo mirust`, one of them on Xen (SKIP_XEN=1 leaves it out)
	@$(ENV) tests/cargo/run
	@$(ENV) tests/cargo/popular/run --few
test-crates: ## Builds and boots a program of each popular crate in the table of docs/crates.md (slow)
	@$(ENV) tests/cargo/popular/run
test-suites: ## Runs the tests of mio, tokio and std in domains, and compares with docs/suites.md (slow; SUITE=name: one)
	@$(ENV) tests/suites/run $(SUITE)
test-tutorial: ## Follows docs/tutorial.md, on Xen too (SKIP_XEN=1: only builds those parts)
	@tests/apps/tutorial $(if $(SKIP_XEN),,--xen)

.PHONY: test-net
test-net: ## Tests the network stack and the examples over a TAP interface, with real clients
	@$(ENV) tests/linux/build
	@$(ENV) --rig tests/linux/run

.PHONY: test-boot
test-boot: ## Boots small images on QEMU without Xen, and checks the end of their output
	@$(ENV) tests/boot/run
	@$(ENV) tests/boot/libc/run
	@$(ENV) tests/apps/run --image
	@$(ENV) --rig tests/apps/hundred-lines
	@$(ENV) tests/docs/promises

.PHONY: test-unit test-oldest test-mutants test-debug test-asan test-leaks fuzz bench bench-xen bench-netem
test-unit: ## Tests that need neither Xen nor QEMU, of both languages
	@$(ENV) cargo test --locked --quiet $(RT) -p mirust --features $(TRAITS)
	@$(ENV) cargo test --locked --quiet -p mirust-libc --features posix posix
	@$(ENV) cargo test --locked --quiet -p mirust-header -p mirust-xen-abi -p mirust-notation -p mirust-bindgen -p mirust-dns-tests \
	    -p mirust-fuzz -p mirust-licences -p mirust-storage-tests
	@$(ENV) cargo test --locked --quiet -p cargo-mirust -p mirust-summon
	@$(DUNE) test
	@$(ENV) tests/apps/run
	@$(ENV) tests/mirage/run
	@tests/apps/door
	@tests/apps/lines
	@tests/apps/libvirt
	@tests/apps/elsewhere
test-oldest: ## Images of each kind with the oldest Rust that is promised (slow; `lint` checks the crates)
	@$(ENV) --rig tests/apps/oldest
test-mutants: ## A hundred small changes to TCP, each of which its tests must notice (slow; N=.. SEED=..)
	@$(DUNE) build ./tests/tcp/mutants/mutants.exe
	@$(ENV) ./_build/default/tests/tcp/mutants/mutants.exe $(or $(N),100) $(or $(SEED),1)
test-debug: ## The tests of the language boundary on OCaml's debug runtime (slow)
	@$(DUNE) build @tests/ocaml/debug
test-asan: export ASAN_OPTIONS := detect_leaks=0
test-asan: ## The executor's and the boundary's tests with the address sanitizer in Rust (slow)
	@RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address $(ENV) cargo test --locked --quiet $(RT) --lib --test executor \
	    --target x86_64-unknown-linux-gnu --target-dir build/asan
	@$(DUNE) build @tests/ocaml/asan
test-leaks: ## Ten million round trips each way, and a million of every crossing, leak nothing (slow)
	@$(DUNE) build --profile release @tests/ocaml/leaks
fuzz: ## Coverage-guided fuzzing of both languages (TIME=seconds, TARGET='names' instead of all, KEEP=1 renews the corpus)
	@$(ENV) tests/rig/alone build/fuzz.lock tests/fuzz/run --time $(or $(TIME),60) $(if $(KEEP),--keep) $(TARGET)
##@ Measure
bench: ## Calls, TCP and services against their peers; COMPARE=commit: against that commit; ROW=name: one row (RUNS= SECONDS=)
	@tests/bench/run $(if $(COMPARE),--compare "$(COMPARE)") $(if $(ROW),--row "$(ROW)") \
	    $(if $(RUNS),--runs "$(RUNS)") $(if $(SECONDS),--seconds "$(SECONDS)")
BENCH_XEN_net = bench_net
BENCH_XEN_boot = bench_http
BENCH_XEN_http = bench_kept
BENCH_XEN_web = bench_kept
BENCH_XEN_axum = bench_kept
bench-xen: ## On a real Xen in QEMU, beside a Linux guest in the same boot; ROW=net, boot, http, web or axum (RUNS= SECONDS=)
	@ROW="$(filter http web axum,$(ROW))" RUNS="$(RUNS)" SECONDS_EACH="$(SECONDS)" tests/rig/xen-test \
	    $(if $(ROW),$(or $(BENCH_XEN_$(ROW)),$(error there is no row $(ROW); there are: net boot http web axum)),\
	    bench_net bench_http bench_kept)
bench-netem: ## TCP over bad links, against the kernel's, on the rig's Linux in QEMU (ARGS= for tests/linux/bench-netem)
	@$(ENV) tests/linux/build iperf
	@tests/linux/bench-netem $(ARGS)

SCRIPTS = $(shell git grep -lE '^\#!.*/(env )?(ba)?sh$$')

##@ Work on Mirust itself
.PHONY: header fmt lint licences doc package clean
header: ## Regenerates ffi/include/mirust.h, OCaml's part of it and of ffi/src/net, and the bindings to Xen's headers
	@UPDATE=1 $(ENV) cargo test --locked --quiet -p mirust-header --test header
	@UPDATE=1 $(ENV) cargo test --locked --quiet -p mirust-header --test ocaml --test served
	@UPDATE=1 $(ENV) cargo test --locked --quiet -p mirust-xen-abi
fmt: ## Formats all sources
	@$(ENV) cargo fmt --all
	@$(DUNE) fmt 2>/dev/null || true
licences: ## The licence of everything that an image, or mirust-summon, is linked from, and whether it is compatible with ours
	@$(ENV) tests/licences/run
lint: ## Clippy, rustdoc, the oldest Rust, shellcheck, licences, links, and whether everything is formatted
	@$(ENV) cargo fmt --all --check
	@$(ENV) cargo clippy --locked --quiet --workspace --exclude boot-faults --features $(TRAITS) --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(ENV) cargo doc --locked --quiet --no-deps -p mirust $(RT) --features $(TRAITS)
	@$(ENV) --rig tests/apps/oldest --check
	@$(DUNE) build @fmt
	@$(ENV) shellcheck -x -S warning $(SCRIPTS)
	@tests/docs/links
	@$(ENV) tests/licences/run >/dev/null
	@$(ENV) shellcheck -e SC2034,SC2154 -S warning $(wildcard tests/linux/cases/*.sh)
	@$(ENV) shellcheck -e SC2154 -S warning -s dash $(filter-out %.host.sh,$(wildcard tests/xen/*.sh))
doc: ## The pages of docs/ as a book, with both languages' interface pages: build/book/index.html
	@TRAITS=$(TRAITS) RT="$(RT)" $(ENV) docs/build
package: ## Packages the crates as for a registry, and builds each from its package
	@$(ENV) cargo package --locked --quiet $(RT) -p mirust-notation -p mirust-macros -p mirust-bindgen -p mirust
clean: ## Removes everything that was built
	@rm -rf build _build target
