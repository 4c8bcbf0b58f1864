# make contract      test hubgate's drop-in command against configurable-http-proxy's contract
# make contract-chp  the same tests against the real CHP, to keep anything else out of the contract

CHP_VERSION := 5.3.0
CHP_FOLDER  := build/chp-$(CHP_VERSION)
CHP         := $(CHP_FOLDER)/node_modules/configurable-http-proxy/bin/configurable-http-proxy

.PHONY: contract contract-chp

contract: $(STAMP)
	$(BIN)/pytest tests/contract -n auto --dist loadfile $(ARGS)

contract-chp: $(STAMP) $(CHP)
	CONTRACT_COMMAND="node '$(CURDIR)/$(CHP)'" CONTRACT_REFERENCE=1 \
		$(BIN)/pytest tests/contract -n auto --dist loadfile $(ARGS)

$(CHP):
	@npm install --prefix $(CHP_FOLDER) --no-save --no-audit --no-fund --loglevel=error \
		configurable-http-proxy@$(CHP_VERSION)
