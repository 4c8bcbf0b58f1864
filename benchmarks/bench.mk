# make bench-deps  install the other proxies, the load generator and the plotting library
# make bench       the comparison of docs/benchmarks.md, 25 minutes (ARGS=--quick: 3; ARGS=--help)
#                  BEFORE=../old compares another checkout (after its own `make venv`) with this one
# make bench-page  put its figures and pictures into docs/
# make bench-strangers  what strangers can take from others, 12 minutes (ARGS='--only 404'; --help)
# make slowhttptest     that program's four modes, three minutes
# make testssl          what testssl.sh says of hubgate's ports with TLS, two minutes
# make bench-strangers-page  put the figures of these three into docs/security.md

BENCH_STAMP := $(VENV)/.bench

.PHONY: bench bench-deps bench-programs bench-page
.PHONY: bench-strangers bench-strangers-page slowhttptest testssl

# Programs that cannot be installed are left out of the table.
bench-deps: bench-programs $(BENCH_STAMP)
	-@[ -x "$$(command -v npm)" ] && $(MAKE) --no-print-directory $(CHP)

bench-programs:
	@scripts/system-parts npm nginx haproxy caddy wrk curl

bench: bench-deps
	BEFORE='$(BEFORE)' $(BIN)/python -m benchmarks $(ARGS)

bench-strangers: bench-deps
	$(BIN)/python -m benchmarks.strangers $(ARGS)

bench-strangers-page: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.strangers.page

bench-page: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.page

$(BENCH_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --editable '.[bench]'
	@touch $@

# Programs from outside that look for the same: slow clients, and weak TLS.
slowhttptest: bench-deps
	@scripts/system-parts slowhttptest
	$(BIN)/python -m benchmarks.strangers.slowhttptest $(ARGS)

testssl: $(BENCH_STAMP)
	@scripts/system-parts testssl.sh
	$(BIN)/python -m benchmarks.strangers.testssl
