# Context Store: one executable, built from src/ by the rules below. Non-recursive; each variant has a tree of its own.
#
#   make                    build/release/context-store
#   make run                install what is missing, build, start on 127.0.0.1:8000
#   make check              install what is missing, build, pass every test; ends with "N passed, N failed, N skipped"
#   make lint               layering, lengths, banned calls, format, clang-tidy
#   make VARIANT=asan test  unit tests of one variant: release debug asan tsan fuzz cov
#   make man                manual and reference pages, from the program's tables
#   make install            PREFIX=/usr/local, DESTDIR=
#   make bench-http ...     programs that compare with a baseline in the same run (docs/benchmarks.md)
#
# A new source file needs no line here: every src/<layer>/*.c is part of the program, every tests/<tier>/test_*.c is a
# test program linked with all of it but main.c, every tests/fuzz/fuzz_*.c a fuzz target, every bench/bench_*.c a benchmark.

# Servers that scripts/setup has put there for tests and benchmarks.
export PATH := $(PATH):$(CURDIR)/build/sdk/bin

VARIANT ?= release
CC      ?= cc
ifeq ($(VARIANT),fuzz)
CC      := clang
endif
B       := build/$(VARIANT)

PACKAGES := libuv sqlite3 libxxhash nettle hiredis
# libcurl is opened when it is needed (src/remote/curl_library.h): its headers only.
HEADERS  := libcurl
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) $(HEADERS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
            -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter
CFLAGS_release := -O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CFLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
CFLAGS_cov     := -O0 -g --coverage

ifeq ($(filter $(VARIANT),release debug asan tsan fuzz cov),)
$(error unknown VARIANT '$(VARIANT)': one of release debug asan tsan fuzz cov)
endif

CPPFLAGS := -Isrc -include base/banned.h -D_GNU_SOURCE $(PKG_CFLAGS)
CFLAGS   := -std=gnu17 $(WARNINGS) $(CFLAGS_$(VARIANT)) $(EXTRA_CFLAGS)
LDLIBS   := $(PKG_LIBS) -lm -lpthread

SRC      := $(sort $(wildcard src/*/*.c))
OBJ      := $(SRC:src/%.c=$(B)/src/%.o)
MAIN_OBJ := $(B)/src/main.o
LIB      := $(B)/libcontext-store.a
PROGRAM  := $(B)/context-store

TESTS    := $(sort $(wildcard tests/unit/test_*.c tests/contract/test_*.c tests/property/test_*.c tests/fault/test_*.c))
TEST_BIN := $(TESTS:%.c=$(B)/%)
SUPPORT  := $(sort $(wildcard tests/support/*.c))
SUPPORT_OBJ := $(SUPPORT:%.c=$(B)/%.o)
FUZZ     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ:%.c=$(B)/%)
BENCH    := $(sort $(wildcard bench/bench_*.c))
BENCH_BIN := $(BENCH:%.c=$(B)/%)
BENCH_SUPPORT := $(sort $(wildcard bench/support/*.c))
BENCH_OBJ := $(BENCH_SUPPORT:%.c=$(B)/%.o)

.DEFAULT_GOAL := all
.PHONY: all
all: $(PROGRAM)

$(PROGRAM): $(MAIN_OBJ) $(LIB)
	$(CC) $(CFLAGS) -o $@ $(MAIN_OBJ) $(LIB) $(LDLIBS)

# Which sources: a file that changes only when the revision does, so that main.o is built again then and not otherwise.
REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
$(shell mkdir -p $(B) && printf '%s\n' '$(REVISION)' | cmp -s - $(B)/revision || printf '%s\n' '$(REVISION)' >$(B)/revision)
$(MAIN_OBJ): CPPFLAGS += -DCS_REVISION='"$(REVISION)"'
$(MAIN_OBJ): $(B)/revision

# The archive is made anew, so that a deleted source leaves no object behind.
$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $(OBJ)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(TEST_BIN): $(B)/%: $(B)/%.o $(SUPPORT_OBJ) $(LIB)
	$(CC) $(CFLAGS) -o $@ $< $(SUPPORT_OBJ) $(LIB) -lcmocka -ljansson -lhttp_parser $(LDLIBS)

$(FUZZ_BIN): $(B)/%: $(B)/%.o $(LIB)
	$(CC) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(LIB) $(LDLIBS)

$(BENCH_BIN): $(B)/%: $(B)/%.o $(BENCH_OBJ) $(LIB)
	$(CC) $(CFLAGS) -o $@ $< $(BENCH_OBJ) $(LIB) $(LDLIBS)

# The same program with the metric calls of a request left out: bench/bench_metrics.c compares with it.
UNMEASURED := $(B)/bench/unmeasured/unmeasured.o
$(PROGRAM)-unmeasured: $(MAIN_OBJ) $(LIB) $(UNMEASURED)
	$(CC) $(CFLAGS) -Wl,--wrap=metric_add,--wrap=metric_observe_ns -o $@ $(MAIN_OBJ) $(UNMEASURED) $(LIB) $(LDLIBS)
$(B)/bench/bench_metrics: | $(PROGRAM)-unmeasured

-include $(OBJ:.o=.d) $(MAIN_OBJ:.o=.d) $(TEST_BIN:=.d) $(SUPPORT_OBJ:.o=.d) $(FUZZ_BIN:=.d) $(BENCH_BIN:=.d) $(BENCH_OBJ:.o=.d)
.SECONDARY:

.PHONY: tests test fuzzers benches lint clean run check setup install man
tests: $(TEST_BIN)
fuzzers: $(FUZZ_BIN)
benches: $(BENCH_BIN) $(PROGRAM)

# The test programs of this variant only; 'make check' runs everything.
test: $(TEST_BIN) $(PROGRAM)
	scripts/run-tests $(TEST_BIN)

lint:
	scripts/lint

# Each of these says what it installs before it does. ARGS are flags of serve: make run ARGS="--port 9000".
run:
	@scripts/run $(ARGS)

check:
	@scripts/check

setup:
	@scripts/setup check

# One benchmark: make bench-http runs build/release/bench/bench_http; ARGS are its arguments. Each starts what it measures
# and its baseline itself (docs/benchmarks.md).
bench-%: $(B)/bench/bench_% $(PROGRAM)
	$< $(ARGS)

# Besides, what it compares with: ONNX Runtime, its models, and the model of ours.
.PHONY: bench-embed
bench-embed: $(B)/bench/bench_embed $(PROGRAM)
	scripts/setup-extras bench
	$< $(ARGS)

# The manual and the reference pages, printed from the program's tables; tests/blackbox/test_docs.py holds them to it.
man: $(PROGRAM)
	@mkdir -p docs/reference
	$(PROGRAM) man > docs/context-store.1
	for page in commands settings errors metrics tools; do $(PROGRAM) reference $$page > docs/reference/$$page.md || exit 1; done

PREFIX ?= /usr/local
install: $(PROGRAM)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/context-store
	install -D -m 644 docs/context-store.1 $(DESTDIR)$(PREFIX)/share/man/man1/context-store.1

clean:
	rm -rf build
