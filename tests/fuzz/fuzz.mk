# make fuzz        look for bytes that break something, FUZZ_SECONDS per target
# make fuzz-merge  keep inputs that add coverage in tests/fuzz/corpus/TARGET.txt

FUZZ_SECONDS ?= 120
FUZZ_TARGETS ?= request forwarding response reuse paths posted frames settings

.PHONY: fuzz fuzz-merge fuzz-deps

fuzz: fuzz-deps
	@set -e; for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS); done

fuzz-merge: fuzz-deps
	@set -e; for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz $$target merge; done

fuzz-deps: $(STAMP)
	$(BIN)/pip install --quiet --editable '.[fuzz]'
