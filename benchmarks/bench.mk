# make bench-deps  the other proxies, the load generator and what draws the pictures
# make bench       the comparison of docs/benchmarks.md (ARGS=--help says more); about half an hour
# make bench-page  its figures into docs/benchmarks.md

.PHONY: bench bench-deps bench-page

bench-deps: $(STAMP) $(CHP)
	@scripts/system-parts nginx haproxy caddy wrk curl
	$(BIN)/pip install --quiet --editable '.[bench]'

bench: bench-deps
	$(BIN)/python -m benchmarks $(ARGS)

bench-page: $(STAMP)
	$(BIN)/python -m benchmarks.page
