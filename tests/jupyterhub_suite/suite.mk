# See python -m tests.jupyterhub_suite --help.
.PHONY: jupyterhub-suite

jupyterhub-suite: $(STAMP)
	$(BIN)/python -m tests.jupyterhub_suite $(ARGS)
