# make fuzz  look for bytes that break something, FUZZ_SECONDS for each of the targets

FUZZ_SECONDS ?= 120
FUZZ_TARGETS ?= request response paths frames settings

.PHONY: fuzz

fuzz: $(STAMP)
	$(BIN)/pip install --quiet '.[fuzz]'
	@set -e; for target in $(FUZZ_TARGETS); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS); done
