"""Every way in which Entra ID refuses a sign-in, through MSAL against the sandbox: its own words, never a branch."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterator
from operator import attrgetter

import pytest

from kiosk.clock import SystemClock
from kiosk.config.kiosk import DeviceCodeSettings, KioskConfig
from kiosk.config.loading import load
from kiosk.errors import BY_AADSTS, SignInDeclined, SignInError, SignInExpired, SignInUnreachable
from kiosk.identity.device_code import DeviceCodeSignIn
from kiosk.sandbox.entra.errors import SIGN_IN_REFUSALS
from tests.support.clock import ManualClock
from tests.support.sandbox import RunningSandbox, running_sandbox

# What OAuth itself says about them decides, whatever the number.
PASSING = {
    number for number, (error, _, _) in SIGN_IN_REFUSALS.items() if error in {"temporarily_unavailable", "server_error"}
}
DECLINED = {number for number, (error, _, _) in SIGN_IN_REFUSALS.items() if error == "access_denied"}
REFUSED = sorted(SIGN_IN_REFUSALS.keys() - PASSING)
POLL, CODE = "/*/oauth2/v2.0/token", "/*/oauth2/v2.0/devicecode"


class Hurried(SystemClock):
    """Does not wait between two questions."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """With one person for each number."""
    place = tmp_path_factory.mktemp("tenant")
    people = place / "people.toml"
    people.write_text(
        "".join(f'[[person]]\nname = "P{n}"\naddress = "p{n}@nordwind.example"\nrefusal = {n}\n' for n in REFUSED)
        + '[[person]]\nname = "Ada Kessler"\naddress = "ada.kessler@nordwind.example"\n'
    )
    devices = place / "devices.toml"
    devices.write_text("device = []\n")
    files = {"people_file": str(people), "devices_file": str(devices)}
    with running_sandbox(place, tenant=files) as running:
        yield running


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Iterator[DeviceCodeSettings]:
    yield load(sandbox.directory / "kiosk.toml", KioskConfig).device_code_settings
    sandbox.clear_faults()


async def signed_in_as(sandbox: RunningSandbox, settings: DeviceCodeSettings, who: str) -> None:
    sign_in = DeviceCodeSignIn(settings, Hurried())
    code = await sign_in.begin()
    async with sandbox.phone() as phone:
        await phone.approve(code.user_code, who)
    try:
        await sign_in.wait()
    finally:
        sign_in.forget()


@pytest.mark.parametrize("number", REFUSED)
async def test_a_refusal_has_its_own_words(sandbox: RunningSandbox, settings: DeviceCodeSettings, number: int) -> None:
    with pytest.raises(SignInError) as raised:
        await signed_in_as(sandbox, settings, f"P{number}")
    error = raised.value
    assert type(error) is (SignInDeclined if number in DECLINED else BY_AADSTS[number])
    assert error.code != SignInError.code
    assert error.support == f"AADSTS{number}"
    assert len(error.correlation_id) == 36
    assert error.at.endswith("Z")
    assert error.correlation_id in error.cause


def test_no_branch_of_the_program_hangs_on_a_number() -> None:
    """What the kiosk acts upon, it learns from the OAuth error."""
    acted_upon = (SignInDeclined, SignInExpired, SignInUnreachable)
    assert not [leaf for leaf in BY_AADSTS.values() if issubclass(leaf, acted_upon)]


def test_every_number_of_the_table_is_played() -> None:
    assert set(BY_AADSTS) - {70020, 54005} == set(SIGN_IN_REFUSALS)


@pytest.mark.parametrize("leaf", sorted(set(BY_AADSTS.values()), key=attrgetter("code")))
def test_words_fit_a_small_terminal(leaf: type[SignInError]) -> None:
    lines = [line for text in (leaf.sentence, leaf.next_step) for line in textwrap.wrap(text, 76)]
    assert len(lines) <= 5
    assert len(leaf.title) <= 76
    assert leaf.who
    assert "AADSTS" not in leaf.title + leaf.sentence + leaf.next_step


@pytest.mark.parametrize("number", sorted(PASSING))
async def test_a_service_that_is_out_of_order_is_waited_out_with_the_same_code(
    sandbox: RunningSandbox, settings: DeviceCodeSettings, number: int
) -> None:
    sandbox.fault(POLL, "aadsts", aadsts=number, times=2)
    await signed_in_as(sandbox, settings, "Ada Kessler")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (700016, "sign_in_misconfigured"),
        (90002, "sign_in_misconfigured"),
        (500011, "sign_in_misconfigured"),
        (7000218, "sign_in_flow_off"),
        (65001, "sign_in_consent"),
        (53003, "sign_in_policy"),
        (50105, "sign_in_not_assigned"),
        (90033, "sign_in_busy"),
        (99999999, "sign_in_failed"),
    ],
)
async def test_refusals_before_there_is_a_code(
    sandbox: RunningSandbox, settings: DeviceCodeSettings, number: int, code: str
) -> None:
    """MSAL caches failures for a minute, but must not repeat them to the next person."""
    sandbox.fault(CODE, "aadsts", aadsts=number, times=1)
    sign_in = DeviceCodeSignIn(settings, SystemClock())
    with pytest.raises(SignInError) as raised:
        await sign_in.begin()
    assert raised.value.code == code
    assert raised.value.support == f"AADSTS{number}"
    assert (await sign_in.begin()).user_code
    sign_in.forget()
    after = DeviceCodeSignIn(settings, SystemClock())
    assert (await after.begin()).user_code
    after.forget()


async def test_a_failure_of_one_person_is_not_replayed_to_the_next(
    sandbox: RunningSandbox, settings: DeviceCodeSettings
) -> None:
    with pytest.raises(BY_AADSTS[53003]):
        await signed_in_as(sandbox, settings, "P53003")
    await signed_in_as(sandbox, settings, "Ada Kessler")


async def test_questions_keep_the_interval_and_slow_down_when_told(
    sandbox: RunningSandbox, settings: DeviceCodeSettings
) -> None:
    """RFC 8628: not before the interval is over, and five seconds longer from each slow_down on."""
    waits: list[float] = []

    class Listening(ManualClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 5:
                raise asyncio.CancelledError

    sign_in = DeviceCodeSignIn(settings, Listening())
    await sign_in.begin()
    # MSAL warns of an impatience that is this test's, not the kiosk's.
    with pytest.warns(UserWarning, match="too soon"), pytest.raises(asyncio.CancelledError):
        await sign_in.wait()
    assert waits == [1, 1, 6, 11, 16]
    sign_in.forget()


async def test_a_service_that_names_no_pause_is_not_asked_without_end(
    sandbox: RunningSandbox, settings: DeviceCodeSettings
) -> None:
    waits: list[float] = []

    class Twice(ManualClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                raise asyncio.CancelledError

    sandbox.fault(CODE, "set", field="interval", value=0, times=1)
    sign_in = DeviceCodeSignIn(settings, Twice())
    await sign_in.begin()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sign_in.wait(), 20)
    assert waits == [1, 1]
    sign_in.forget()


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        (CODE, "user_code", None),
        (CODE, "user_code", ""),
        (CODE, "verification_uri", None),
        (CODE, "device_code", None),
        (CODE, "device_code", 7),
        (CODE, "expires_in", "soon"),
        (CODE, "expires_in", -5),
        (CODE, "expires_in", {}),
        (CODE, "interval", []),
        ("*/openid-configuration", "token_endpoint", None),
        ("*/openid-configuration", "token_endpoint", 5),
        ("*/openid-configuration", "device_authorization_endpoint", None),
        ("*/openid-configuration", "device_authorization_endpoint", "ftp://nowhere"),
    ],
)
async def test_an_answer_of_another_shape_is_garbled(
    sandbox: RunningSandbox, settings: DeviceCodeSettings, path: str, field: str, value: object
) -> None:
    sandbox.fault(path, "set", field=field, value=value)
    sign_in = DeviceCodeSignIn(settings, SystemClock())
    with pytest.raises(SignInUnreachable):
        await sign_in.begin()
    sandbox.clear_faults()
    assert (await sign_in.begin()).user_code
    sign_in.forget()
