"""How long proofs are good, and how many of them are remembered."""

from __future__ import annotations

import pytest

from kiosk.broker.tokens.proofs import WINDOW_SECONDS, Proofs
from kiosk.errors import TokenProofTime, TokenUnproven
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from tests.support.clock import ManualClock

ASKED = ("GET", "/v1/devices", "token")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def prover(clock: ManualClock) -> Prover:
    return Prover(VisitKeys(), clock)


def use(proofs: Proofs, proof: str) -> None:
    proofs.use(proofs.verify(proof, *ASKED))


def test_a_proof_is_remembered_for_as_long_as_it_is_good(clock: ManualClock, prover: Prover) -> None:
    proofs = Proofs(clock)
    early = prover.proof(*ASKED, b"")
    use(proofs, early)
    clock.advance(WINDOW_SECONDS - 1)
    with pytest.raises(TokenUnproven, match="used before"):
        proofs.verify(early, *ASKED)
    clock.advance(2)
    with pytest.raises(TokenProofTime):
        proofs.verify(early, *ASKED)
    use(proofs, prover.proof(*ASKED, b""))
    assert len(proofs) == 1


def test_a_proof_may_grow_too_old_while_it_is_checked(clock: ManualClock, prover: Prover) -> None:
    proofs = Proofs(clock)
    early = prover.proof(*ASKED, b"")
    clock.advance(WINDOW_SECONDS - 0.01)
    proven = proofs.verify(early, *ASKED)
    clock.advance(0.02)
    proofs.use(proven)
    assert len(proofs) == 0


def test_a_kiosk_whose_clock_is_ahead_is_remembered_longer(clock: ManualClock, prover: Prover) -> None:
    proofs = Proofs(clock)
    prover.follow(clock.utc().timestamp() + WINDOW_SECONDS - 1)
    ahead = prover.proof(*ASKED, b"")
    use(proofs, ahead)
    prover.follow(clock.utc().timestamp())
    for _ in range(2):
        clock.advance(WINDOW_SECONDS - 1)
        use(proofs, prover.proof(*ASKED, b""))
        with pytest.raises(TokenUnproven, match="used before"):
            proofs.verify(ahead, *ASKED)


def test_more_than_can_be_remembered_makes_the_window_smaller(clock: ManualClock, prover: Prover) -> None:
    proofs = Proofs(clock, most=3)
    used = []
    for _ in range(5):
        used.append(prover.proof(*ASKED, b""))
        use(proofs, used[-1])
        clock.advance(1)
    assert len(proofs) == 3
    for proof in used[:2]:
        with pytest.raises(TokenProofTime):
            proofs.verify(proof, *ASKED)
    for proof in used[2:]:
        with pytest.raises(TokenUnproven, match="used before"):
            proofs.verify(proof, *ASKED)
    use(proofs, prover.proof(*ASKED, b""))


def test_a_clock_that_is_set_back_keeps_nobody_out(clock: ManualClock, prover: Prover) -> None:
    proofs = Proofs(clock)
    use(proofs, prover.proof(*ASKED, b""))
    clock.set_back(3600)
    use(proofs, prover.proof(*ASKED, b""))
