# make soak  mixed traffic and attackers for SOAK_SECONDS; fails if anything has grown at the end, or anybody
#            honest had to wait. ARGS='--without attackers' leaves those out

SOAK_SECONDS ?= 600

.PHONY: soak

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(SOAK_SECONDS) $(ARGS)
