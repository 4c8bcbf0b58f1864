# make soak  mixed traffic for SOAK_SECONDS; fails if anything has grown at the end

SOAK_SECONDS ?= 600

.PHONY: soak

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(SOAK_SECONDS)
