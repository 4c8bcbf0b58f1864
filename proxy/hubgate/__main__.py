"""`python -m hubgate` is `proxyctl`."""

from hubgate.cli.main import main

main()
