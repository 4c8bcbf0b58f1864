"""`proxyctl certs`: certificates to develop with, under certs/."""

from pathlib import Path

import click

from hubgate.certificates.authority import make_authority, make_server
from hubgate.certificates.pair_files import (
    PairFiles,
    existing_authority,
    existing_server,
    validity,
    write_pair,
)
from hubgate.errors import ConfigError
from hubgate.settings.checks import stated, whole_number
from hubgate.settings.urls import check_host

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1")


def _days(context: click.Context, option: click.Parameter, text: str) -> int:
    try:
        return whole_number(text, "number of days", 1, 3650)
    except ConfigError as error:
        raise click.BadParameter(str(error), context, option) from None


@click.command()
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default="certs",
    type=click.Path(path_type=Path, readable=False),
    help="Where to put them (certs).",
)
@click.option(
    "--host",
    "hosts",
    metavar="HOST",
    multiple=True,
    default=DEFAULT_HOSTS,
    help="Name or address of the server; may be repeated (localhost, 127.0.0.1, ::1).",
)
@click.option(
    "--days",
    metavar="N",
    default="365",
    callback=_days,
    help="How long the server's certificate is valid, at most 3650 (365).",
)
@click.option("--force", is_flag=True, help="Replace an existing server certificate.")
def certs(folder: Path, hosts: tuple[str, ...], days: int, force: bool) -> None:
    """Make a development CA and a server certificate signed by it.

    Writes ca.pem, ca-key.pem, hub.pem and hub-key.pem. An existing valid CA is reused, so a
    browser that trusts it still does; nothing is overwritten without --force.
    """
    for host in hosts:
        stated(check_host, host.removeprefix("*."), "--host")
    authority_files = PairFiles(folder / "ca.pem", folder / "ca-key.pem")
    server_files = PairFiles(folder / "hub.pem", folder / "hub-key.pem")
    authority = existing_authority(authority_files, days, force)
    kept = None if force else existing_server(server_files, authority, hosts)
    if kept is not None:
        what = f"{server_files.cert} for {', '.join(hosts)}, {validity(kept)}"
        click.echo(f"kept {what}; --force makes a new one")
        return
    if authority is None:
        authority = make_authority()
        write_pair(authority_files, authority, force)
        click.echo(f"made {authority_files.cert}, {validity(authority)}; trust it in your browser")
    else:
        click.echo(f"kept {authority_files.cert}, {validity(authority)}")
    server = make_server(authority, hosts, days)
    write_pair(server_files, server, force)
    click.echo(f"made {server_files.cert} for {', '.join(hosts)}, {validity(server)}")
    click.echo(f"try: proxyctl serve --tls-cert {server_files.cert} --tls-key {server_files.key}")
