# The commands of this repository; `make help` lists them. Every tool runs through $(ENV), which
# is the machine's own toolchain or the private one that `make setup` made.

.DEFAULT_GOAL := help
SHELL := bash
ENV := tests/rig/env

# The application: one of examples/, or any directory by APP=path.
EXAMPLE ?= hello
APP ?= examples/$(EXAMPLE)
NAME := $(notdir $(abspath $(APP)))

.PHONY: help
help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Brings the toolchain and the test rig (safe to repeat)
	@tests/rig/setup

.PHONY: run
run: xen ## Boots build/xen/EXAMPLE.elf as a domU of a real Xen (EXAMPLE=name or APP=dir; ARGS= for xen-run)
	@tests/rig/xen-run $(ARGS) build/xen/$(NAME).elf

.PHONY: test-xen
test-xen: ## Runs tests/xen on a real Xen in QEMU (SKIP_XEN=1 leaves them out)
	@tests/rig/xen-test

.PHONY: test-boot
test-boot: ## Boots small images on QEMU alone, and compares their last words
	@$(ENV) tests/boot/run
