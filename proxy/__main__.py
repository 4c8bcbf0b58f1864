"""`python -m proxy` is `proxyctl`."""

from proxy.cli.main import main

main()
