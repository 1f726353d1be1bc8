# What one can do with hello-fcgi; `make` alone lists it.
#
# Variables: PORT, RUN_DIR, CACHE and the responder's own (README), and
#   SANITIZE=1   build with the address and undefined-behaviour sanitizers (run, test)
#   TIME=60      seconds for each target, TARGET=NAME for one (fuzz)
#   GDB=1        start the responder under gdb (debug)
#   V=1          print the commands that build
#   ENV=staging  the environment (deploy, push, rebuild, status, rollback): terraform/environments/

CC ?= cc
Q := $(if $(V),,@)
SHELL := /bin/bash
.DEFAULT_GOAL := help

# --- Build ----------------------------------------------------------------------------------

VERSION := $(shell cat VERSION)
COMMIT ?= $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null \
	|| echo unknown)

ifdef SANITIZE
BUILD := build/sanitize
MODE_FLAGS := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifdef COVERAGE
BUILD := build/coverage
MODE_FLAGS := -O0 --coverage
else ifdef FUZZ
BUILD := build/fuzz
CC := clang
MODE_FLAGS := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
else ifdef DEBUG
BUILD := build/debug
MODE_FLAGS := -Og -g3
else
BUILD := build
# Hardening: checked libc calls, stack canaries and probes, control-flow protection where the CPU
# has it, random addresses, relocations that are read-only once the program runs.
MODE_FLAGS := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
MODE_FLAGS += $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
LDFLAGS += -Wl,-z,relro,-z,now
endif

CPPFLAGS += -D_GNU_SOURCE -Ifcgi-app -I$(BUILD)/pages -MMD -MP
CFLAGS += -std=c17 -g -fPIE $(MODE_FLAGS) -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=format-security
LDFLAGS += -pie
LDLIBS := $(shell awk '/^[a-z]/ { print "-l" $$1 }' fcgi-app/libraries)

PAGES := $(patsubst fcgi-app/%,$(BUILD)/%.h,$(filter-out %/compile %.awk,$(wildcard fcgi-app/pages/*)))
SOURCES := $(wildcard fcgi-app/*.c fcgi-app/core/*.c fcgi-app/handlers/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/objects/%.o)

.PHONY: build
build: $(BUILD)/responder ## Build build/responder

$(BUILD)/responder: $(OBJECTS) fcgi-app/libraries
	@echo "  CC $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) $(LDLIBS)

$(OBJECTS): $(BUILD)/objects/%.o: %.c Makefile | setup-build $(PAGES)
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The pages as C. A page has the style sheet in it.
$(PAGES): $(BUILD)/%.h: fcgi-app/% $(wildcard fcgi-app/pages/*)
	@mkdir -p $(@D)
	@echo "  C  $@"
	$(Q)fcgi-app/pages/compile $< >$@.new && mv $@.new $@

# What must not be called does not compile (fcgi-app/banned.h).
$(OBJECTS): CPPFLAGS += -include fcgi-app/banned.h

# One source of the version: the file VERSION and git. The stamp changes only when they do.
$(BUILD)/objects/fcgi-app/core/version.o: CPPFLAGS += -DVERSION='"$(VERSION)"' -DCOMMIT='"$(COMMIT)"'
$(BUILD)/objects/fcgi-app/core/version.o: $(BUILD)/stamp
$(BUILD)/stamp: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(COMMIT)' | cmp -s - $@ || echo '$(VERSION) $(COMMIT)' >$@
FORCE:

-include $(OBJECTS:.o=.d)

# --- Run ------------------------------------------------------------------------------------

# /usr/bin/python3: the one that Debian's supervisor belongs to. exec: signals to make reach it. env: a
# stop waits until somebody listens, where Python in its own start would end with a traceback.
.PHONY: run
run: setup-run build ## Serve on http://localhost:8080 (PORT=...), in the foreground
	@RESPONDER=$(abspath $(BUILD)/responder) exec env --block-signal=TERM,INT,QUIT,HUP \
		/usr/bin/python3 -I supervisor/start.py

.PHONY: debug
debug: setup-run setup-debug ## Serve with one process that handles one request at a time, for gdb (GDB=1)
	@$(MAKE) --no-print-directory DEBUG=1 build
	@RESPONDER=$(abspath build/debug/responder) GDB=$(GDB) exec scripts/debug

# --- Image ----------------------------------------------------------------------------------

IMAGE ?= hello-fcgi
TAG ?= latest
IMAGE_SETTINGS = IMAGE=$(IMAGE) TAG=$(TAG) VERSION=$(VERSION) COMMIT=$(COMMIT)

.PHONY: image
image: ## Build the image (IMAGE=hello-fcgi TAG=latest WITH='ca-certificates tzdata'), with docker or podman
	@$(IMAGE_SETTINGS) scripts/image $(if $(WITH),--build-arg WITH='$(WITH)')

.PHONY: symbols
symbols: ## Write the debug symbols of the image's responder to build/responder.debug, for gdb
	@$(IMAGE_SETTINGS) TAG=symbols scripts/image --target=symbols --output=build --iidfile=build/symbols

.PHONY: sbom
sbom: image ## Write what the image is made of to build/sbom.json (CycloneDX)
	@cloudbuild/sbom "$$(cat build/image)" build/sbom.json

.PHONY: bench-image
bench-image: setup-test image ## Measure the image: size, start, memory, stop; beside Flask's own server
	@IMAGE=$$(cat build/image) CONTAINER_ENGINE=$$(scripts/engine) /usr/bin/python3 -B \
		bench/container/measure.py

.PHONY: image-test
image-test: setup-test setup-gvisor image ## Test the image: what is in it, and the end-to-end suite against it
	@TARGETS='container gvisor' IMAGE=$$(cat build/image) CONTAINER_ENGINE=$$(scripts/engine) \
		/usr/bin/python3 -B -m pytest -n 4 --dist loadfile tests/e2e tests/image

# As sealed as it can be: nothing but /tmp is writable, and nothing is left of root's powers. With
# --no-healthcheck, since podman needs systemd for one, and here is somebody who looks.
.PHONY: image-run
image-run: image ## Serve from the image on http://localhost:8080 (PORT=...), in the foreground
	@port=$${PORT:-8080} && exec "$$(scripts/engine)" run --rm --read-only --tmpfs=/tmp \
		--cap-drop=all --security-opt=no-new-privileges --no-healthcheck --env=PORT="$$port" \
		--publish="$$port:$$port" --env=GREETING --env=GREETING_NAME --env=WORKERS --env=LOG_LEVEL \
		--env=WAITING_WORKERS --env=REQUEST_TIMEOUT --env=SANDBOX --env=CACHE --env=LOG_FORMAT --env=ACCESS_LOG --env=DRAIN_DELAY \
		"$(IMAGE):$(TAG)"

# --- Delivery -------------------------------------------------------------------------------

.PHONY: push
push: ## Build, try and push the image of the present commit
	@python3 -B cloudbuild/push-commit

.PHONY: deploy
deploy: ## Apply the Terraform configuration, then have Cloud Build build main and roll it out
	@python3 -B cloudbuild/deploy

.PHONY: rebuild
rebuild: ## Build and roll out what serves anew if Debian has newer packages (ANYWAY=1: main, without a look)
	@python3 -B cloudbuild/rebuild-now $(if $(ANYWAY),anyway)

.PHONY: status
status: ## Show revisions with their traffic, commits and images
	@python3 -B cloudbuild/status

.PHONY: rollback
rollback: ## Give all the traffic to the revision before (TO=revision or commit)
	@python3 -B cloudbuild/rollback $(if $(filter undefined,$(origin TO)),,$(or $(TO),''))

.PHONY: pipeline-local
pipeline-local: setup-pipeline ## Run cloudbuild.yaml here, with a stand-in for Google Cloud (FILE=...)
	@/usr/bin/python3 -B tests/delivery/pipeline.py $(FILE)

# --- Test -----------------------------------------------------------------------------------

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
WIRE_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/wire/test_*.c))
WIRE_CLIENT := $(BUILD)/objects/tests/wire/client.o
REFUSER := $(BUILD)/tests/memory.so
FAULTY := $(BUILD)/tests/faulty_responder
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(filter-out fuzz/replay.c,$(wildcard fuzz/*.c)))
TESTED := $(filter-out %/main.o,$(OBJECTS))
AXE := build/browser/node_modules/axe-core/axe.min.js

.PHONY: test
test: setup-run setup-test setup-gvisor setup-pipeline test-programs $(AXE) ## Build and run every test (SANITIZE=1: with the sanitizers)
	@BUILD=$(abspath $(BUILD)) RESPONDER=$(abspath $(BUILD))/responder $(IMAGE_SETTINGS) \
		scripts/test

.PHONY: test-programs
test-programs: build $(UNIT_TESTS) $(WIRE_TESTS) $(FAULTY) $(REFUSER) $(FUZZERS)

$(UNIT_TESTS): $(BUILD)/%: %.c $(TESTED) | setup-test
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(TESTED) $(LDLIBS) -lcmocka

$(WIRE_TESTS): $(BUILD)/%: %.c $(WIRE_CLIENT) | setup-test
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(WIRE_CLIENT) -lcmocka -lseccomp

# To be preloaded: refuses memory.
$(REFUSER): tests/faults/memory.c | setup-test
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -shared -fPIC -o $@ $<

# The responder with the faults that tests ask it for.
FAULTS := respond any_route_waits health accept4 memfd_create signalfd epoll_create1 epoll_wait \
	epoll_ctl read recvmsg send malloc fork kill wait4 sigtimedwait
$(FAULTY): tests/faults/faults.c tests/faults/calls.c $(OBJECTS) | setup-test
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(FAULTS:%=-Wl,--wrap=%) -o $@ \
		tests/faults/faults.c tests/faults/calls.c $(OBJECTS) $(LDLIBS)

$(WIRE_CLIENT): tests/wire/client.c Makefile | setup-test
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

-include $(WIRE_CLIENT:.o=.d) $(UNIT_TESTS:=.d) $(WIRE_TESTS:=.d) $(FAULTY:=.d)

# Linked with libFuzzer where FUZZ=1, else with a driver that runs them over the files it is given.
$(FUZZERS): $(BUILD)/%: %.c fuzz/replay.c $(TESTED)
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< \
		$(if $(FUZZ),-fsanitize=fuzzer,fuzz/replay.c) $(TESTED) $(LDLIBS)

-include $(FUZZERS:=.d)

# It looks for what keeps people from using a page. It comes from npm, which not everybody reaches; without
# a browser nobody needs it. touch: npm gives all files an old date.
$(AXE): tests/browser/package-lock.json | setup-browser
	@mkdir -p build/browser && cp tests/browser/package*.json build/browser
	$(Q)! command -v chromedriver >/dev/null \
		|| { npm ci --prefix build/browser --no-audit --no-fund --loglevel=error && touch $@; } \
		|| echo "npm has not brought axe: the tests with it are skipped" >&2

.PHONY: fuzz
fuzz: setup-build setup-fuzz ## Search for input that breaks the parsers (TIME=60 seconds each, TARGET=respond)
	@$(MAKE) --no-print-directory FUZZ=1 fuzzers
	@scripts/fuzz $(or $(TARGET),$(notdir $(FUZZERS)))

.PHONY: fuzzers
fuzzers: $(FUZZERS)

# TERRAFORM: the program, or one that stands in for Google Cloud (tests/terraform/conftest.py).
.PHONY: test-terraform
test-terraform: setup-test ## Check terraform/ and try it out without Google Cloud (TERRAFORM=...)
	@/usr/bin/python3 -B -m pytest -n 2 --dist loadfile tests/terraform

.PHONY: coverage
coverage: setup-build setup-test setup-coverage ## Measure what the unit tests reach of the core: 95 % of the lines, 90 % of the branches
	@$(MAKE) --no-print-directory COVERAGE=1 unit-tests
	@scripts/coverage

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)

.PHONY: chaos
chaos: setup-run setup-test build $(FAULTY) ## Break the service while 64 clients ask it; print what they saw (TIME=10 SCENARIO=...)
	@/usr/bin/python3 -B tests/chaos/chaos.py $(if $(TIME),--seconds $(TIME)) $(SCENARIO)

.PHONY: mutate
mutate: setup-run setup-test build ## Break the code in small ways; print the breaks that no test notices (N=100)
	@tests/mutate $(if $(N),--count $(N)) $(FILES)

.PHONY: lint
lint: setup-run setup-lint build ## Check the code's form and look for mistakes without running it (SINCE=COMMIT)
	@scripts/lint

.PHONY: format
format: setup-lint ## Write C as lint wants it
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' | xargs -0 clang-format -i

# --- Pictures -------------------------------------------------------------------------------

.PHONY: screenshots
screenshots: setup-run setup-browser build ## Take the README's pictures of the page into docs/, and others into build/screenshots/
	@RESPONDER=$(abspath $(BUILD))/responder scripts/screenshots

# --- Benchmark ------------------------------------------------------------------------------

.PHONY: bench
bench: setup-run build ## Measure speed and size beside other servers (QUICK=1: in two minutes)
	@exec bench/bench.py $(if $(QUICK),--quick)

.PHONY: bench-instructions
bench-instructions: setup-instructions build ## Count instructions and system calls of a request; fail where they changed by 3 % (UPDATE=1)
	@bench/instructions $(if $(UPDATE),--update)

.PHONY: bench-deps
bench-deps: setup-bench ## Install the other servers and what measures them

# --- Housekeeping ---------------------------------------------------------------------------

.PHONY: rename
rename: ## Give the service a name of your own (NAME=my-service)
	@scripts/rename '$(NAME)'

# SETUP=no: for systems whose packages are installed by hand.
.PHONY: setup-%
setup-%:
	@[ "$(SETUP)" = no ] || scripts/setup $*

.PHONY: clean
clean: ## Remove what was built
	rm -rf build

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile
