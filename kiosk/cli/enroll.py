"""``kiosk enroll`` and ``kiosk broker enroll``: how a kiosk or a sign-in page gets its client certificate."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from kiosk.cli.command_errors import reports_errors
from kiosk.errors import ConfigError

_file = click.Path(path_type=Path, dir_okay=False)
_COMPARE = "fingerprint of its key: "


@click.command()
@click.option("--config", "path", type=_file, required=True, help="kiosk.toml, or sign-in.toml of a sign-in page.")
@click.option("--name", help="DNS name in the certificate; default: this machine's host name.")
@click.option("--group", default="", help="A group that may read the private key as well, such as kiosk.")
@click.option("--renew", is_flag=True, help="Make a new private key even if there is one, and overwrite that.")
@reports_errors
def enroll(path: Path, name: str | None, group: str, renew: bool) -> None:
    """Make a private key and a request for a client certificate, by which the broker knows this kiosk.

    Writes the key to [broker] key, if it is not there yet, and the request beside [broker] certificate.
    """
    from kiosk.config.kiosk import BrokerAddress, KioskConfig
    from kiosk.config.loading import load, read_tables
    from kiosk.config.sign_in_page import PageBroker, SignInPageConfig
    from kiosk.enrolment.request import make_request
    from kiosk.net.http import UNIX_PREFIX

    page = "entra" in read_tables(path)
    # Certificate and key are named here before they exist.
    broker: BrokerAddress | PageBroker
    if page:
        broker = load(path, SignInPageConfig, readable=False).broker
    else:
        broker = load(path, KioskConfig, readable=False).broker
    if broker.url.startswith(UNIX_PREFIX):
        raise ConfigError(path, "expected an https address; a unix socket needs no certificate", key="broker.url")
    if broker.certificate is None or broker.key is None:
        missing = "certificate" if broker.certificate is None else "key"
        raise ConfigError(path, "missing; name the file in which it is to be", key=f"broker.{missing}")
    if broker.certificate == broker.key:
        raise ConfigError(path, "expected another file than broker.certificate", key="broker.key")
    request = broker.certificate.with_suffix(".csr")
    found = make_request(broker.key, request, name or socket.gethostname(), renew=renew, group=group)
    click.echo(f"private key: {broker.key}\nrequest: {request}\n{_COMPARE}{found}\n")
    click.echo(f"Next: take {request.name} to your certificate authority and compare the fingerprint there:")
    click.echo(f"  kiosk broker enroll --ca FOLDER {'--page ' if page else ''}{request.name}")
    click.echo(f"Then put the certificate at {broker.certificate}, and run kiosk check.")


@click.command("enroll")
@click.option("--ca", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Its folder.")
@click.option("--new-ca", is_flag=True, help="Make the authority first, in an empty folder.")
@click.option("--page", is_flag=True, help="The request is of a sign-in page, not of a kiosk.")
@click.option("--name", help="Sign only a request for this name.")
@click.option("--days", type=click.IntRange(1, 3650), default=398, show_default=True, help="How long it is valid.")
@click.option("--output", type=_file, help="Where to write the certificate; default: beside the request, as .pem.")
@click.option("--yes", is_flag=True, help="Do not ask: somebody has compared the fingerprint.")
@click.option("--revoke", metavar="NAME|SERIAL", help="Revoke certificates instead of signing one.")
@click.argument("request", type=_file, required=False)
@reports_errors
def sign(
    folder: Path,
    new_ca: bool,
    page: bool,
    name: str | None,
    days: int,
    output: Path | None,
    yes: bool,
    revoke: str | None,
    request: Path | None,
) -> None:
    """Sign the request of a kiosk or a sign-in page with an authority of your own, or revoke a certificate."""
    from kiosk.clock import SystemClock
    from kiosk.enrolment.authority import opened
    from kiosk.enrolment.files import PUBLIC, write
    from kiosk.enrolment.request import checked_name, fingerprint, read_request

    if (request is None) is (revoke is None) or (revoke and new_ca):
        raise click.UsageError("expected either a request to sign or --revoke")
    # Before an authority is made for a request that cannot be signed.
    wanted = read_request(request) if request else None
    with opened(folder, SystemClock(), new=new_ca) as authority:
        if revoke:
            for one in authority.revoke(revoke):
                click.echo(f"revoked: {one}")
            click.echo(f"Next: copy {folder / 'revoked.pem'} to [listen] client_crl of every broker.")
            return
        assert request
        assert wanted
        asked, key = wanted
        if name and asked != checked_name(name):
            raise ConfigError(request, f"expected a request for {name}, found one for {asked}")
        click.echo(f"{'sign-in page' if page else 'kiosk'}: {asked}\n{_COMPARE}{fingerprint(key)}")
        for one in authority.issued():
            if one.name == asked and not one.revoked:
                click.echo(f"it has a certificate already: serial number {one.serial:x}, until {one.ends:%Y-%m-%d}")
        if not yes:
            click.confirm("Does the other side show the same fingerprint?", abort=True)
        issued, content = authority.sign(asked, key, days, page=page)
        target = output or request.with_suffix(".pem")
        write(target, content, PUBLIC)
    click.echo(f"signed: {issued}\ncertificate: {target}\n")
    if page:
        click.echo(
            f'Next: take it to the sign-in page, and set page_certificate = "{asked}" in [sign_in] of broker.toml.'
        )
    else:
        click.echo("Next: take it to the kiosk, to the file in [broker] certificate.")
    if new_ca:
        click.echo(f"Set [listen] client_ca to a copy of {folder / 'ca.pem'} and client_crl to one of revoked.pem.")
