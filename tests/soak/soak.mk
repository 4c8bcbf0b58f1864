# make soak  mixed traffic for SOAK_SECONDS; at the end nothing may have grown

SOAK_SECONDS ?= 600

.PHONY: soak

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(SOAK_SECONDS)
