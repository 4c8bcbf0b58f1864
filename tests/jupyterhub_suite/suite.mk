# make jupyterhub-suite  JupyterHub's own tests, behind CHP and behind hubgate (ARGS='--help' for more)

.PHONY: jupyterhub-suite

jupyterhub-suite: $(STAMP)
	$(BIN)/python -m tests.jupyterhub_suite $(ARGS)
