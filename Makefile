# The commands of this repository; `make help` lists them. Every tool runs through $(ENV), which
# is the machine's own toolchain or the private one that `make setup` made.

.DEFAULT_GOAL := help
SHELL := bash
ENV := tests/rig/env

.PHONY: help
help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Brings the toolchain and the test rig (safe to repeat)
	@tests/rig/setup
