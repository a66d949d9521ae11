"""RSA keys without their cost: making one takes 150 ms, and loading one 40, which checks that it is sound."""

from __future__ import annotations

import functools
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def load_quickly() -> None:
    """Load each key once in this process, and without checking it. MSAL and PyJWT load theirs for each assertion."""
    load = functools.partial(serialization.load_pem_private_key, unsafe_skip_rsa_key_validation=True)
    vars(serialization)["load_pem_private_key"] = functools.cache(load)


def make_ahead(count: int) -> None:
    """Make keys for processes that are forked from this one: the same for each, but no two the same in one."""
    make = rsa.generate_private_key
    made = [make(65537, 2048) for _ in range(count)]

    def next_one(*arguments: Any, **options: Any) -> rsa.RSAPrivateKey:
        usual = {*arguments, *options.values()} <= {65537, 2048, None}
        return made.pop() if made and usual else make(*arguments, **options)

    vars(rsa)["generate_private_key"] = next_one
