"""`proxyctl serve`: run hubgate on routes.yaml, the environment and flags."""

import click

from proxy.cli.launch import launch
from proxy.model import Address
from proxy.settings import Settings


@click.command()
@click.option("--port", type=int, default=8000)
@click.option("--api-port", type=int, default=8001)
@click.option("--workers", type=int, default=1)
@click.option("--store", default="memory:")
def serve(port: int, api_port: int, workers: int, store: str) -> int:
    """Run the proxy."""
    settings = Settings(
        listen=(Address("127.0.0.1", port),),
        api=(Address("127.0.0.1", api_port),),
        workers=workers,
        store=store,
    )
    return launch(settings, None)
