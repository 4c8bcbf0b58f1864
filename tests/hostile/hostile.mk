# make hostile      run the corpus of hostile messages against hubgate
# make hostile-chp  also against the real configurable-http-proxy; updates docs/security.md

HOSTILE := build/hostile

.PHONY: hostile hostile-chp

hostile: $(STAMP)
	$(BIN)/pytest tests/hostile $(ARGS)

hostile-chp: $(STAMP)
	@mkdir -p $(HOSTILE)
	@$(MAKE) --no-print-directory $(CHP)
	$(BIN)/python -m tests.hostile.results $(HOSTILE)/hubgate.json
	CONTRACT_COMMAND="node '$(CURDIR)/$(CHP)'" $(BIN)/python -m tests.hostile.results $(HOSTILE)/chp.json
	$(BIN)/python -m tests.hostile.comparison $(HOSTILE)/hubgate.json $(HOSTILE)/chp.json docs/security.md
