"""What a client of ours shows to get a token: a JWT it has signed; read, held against its key set, every claim checked.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html, https://www.rfc-editor.org/rfc/rfc7523#section-3
"""

import json
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import ECKey, RSAKey

from mappings.model.errors import ExchangeError

KINDS = {"RS384": "RSA", "ES384": "EC"}
LEEWAY_SECONDS, LONGEST_SECONDS = 30, 300
LONGEST_ASSERTION, LONGEST_JTI, MAX_KEYS, LONGEST_KEY_SET = 8_000, 256, 100, 64 << 10


class _Registry(jws.JWSRegistry):
    max_header_length = 4_096  # an x5c or a long jku; the whole assertion is bounded beside


# unknown members of a header are ignored unless it calls them critical (RFC 7515 4)
_REGISTRY = _Registry(algorithms=list(KINDS), strict_check_header=False)


class AssertionRefused(ExchangeError):
    """An assertion opens nothing. ``cause`` is a word for the log; the sentence says nothing of a key or another client."""

    def __init__(self, cause: str, sentence: str):
        self.cause = cause
        super().__init__(sentence)


class KeySetRefused(ExchangeError):
    """A key set cannot be registered as it is."""


class KeySetAway(ExchangeError):
    """The address of a client's key set brought none; the sentence says why, and nothing of what was answered."""


@dataclass(frozen=True)
class FetchedKeys:
    """A key set as it was fetched, and for how many seconds it counts."""

    text: str
    seconds: int


@dataclass(frozen=True)
class Shown:
    """What an assertion says before anything of it is proven."""

    text: str
    client_id: str
    algorithm: str
    kid: str
    jku: str | None


@dataclass(frozen=True)
class Proven:
    """``ends_at``: seconds of the Unix epoch after which it is refused in any case."""

    jti: str
    ends_at: float


def read_assertion(text: str) -> Shown:
    """Its header, and who it says it is. Raises AssertionRefused."""
    if len(text) > LONGEST_ASSERTION:
        raise AssertionRefused("too-long", f"The assertion is longer than {LONGEST_ASSERTION} characters.")
    try:
        signed = jws.extract_compact(text.encode(), registry=_REGISTRY)
        header, claims = signed.headers(), json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise AssertionRefused("unreadable", "The assertion is not a signed JWT in compact form.") from None
    algorithm, kid, jku = header.get("alg"), header.get("kid"), header.get("jku")
    if not isinstance(algorithm, str) or algorithm not in KINDS:
        raise AssertionRefused("algorithm", f"The header alg of the assertion is not {' or '.join(KINDS)}.")
    if str(header.get("typ")).upper() != "JWT":
        raise AssertionRefused("typ", "The header typ of the assertion is not JWT.")
    if not isinstance(kid, str) or not kid or jku is not None and not isinstance(jku, str):
        raise AssertionRefused("kid", "The header of the assertion names its key by kid (text), and jku is an address.")
    who = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(who, str) or claims.get("iss") != who or not who.isprintable():
        raise AssertionRefused("iss-sub", "The claims iss and sub of the assertion are both the client_id.")
    return Shown(text, who, algorithm, kid, jku)


def key_of(shown: Shown, jwks: str | None) -> RSAKey | ECKey | None:
    """The one key of a set that the assertion names and that its algorithm signs with; None for none or several."""
    named = [each for each in _keys_in(jwks or "") if each.get("kid") == shown.kid and _signs(each, shown.algorithm)]
    return _imported(named[0], shown.algorithm) if len(named) == 1 else None


def prove(shown: Shown, key: RSAKey | ECKey, *, audience: str, now: float) -> Proven:
    """Check signature and claims: ``audience`` is our token address as it is published. Raises AssertionRefused."""
    try:
        claims = jwt.decode(shown.text, key, algorithms=[shown.algorithm], registry=_REGISTRY).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise unknown("signature") from None
    whom: jwt.ClaimsOption = {"essential": True, "value": shown.client_id}
    registry = jwt.JWTClaimsRegistry(
        int(now), LEEWAY_SECONDS, iss=whom, sub=whom, aud={"essential": True}, exp={"essential": True},
        jti={"essential": True},
    )  # fmt: skip
    try:
        registry.validate(claims)
    except (ExpiredTokenError, InvalidClaimError, MissingClaimError) as error:
        raise AssertionRefused("claim", f"{_about(error)} {_clock(now)}") from None
    _check_claims(claims, audience, now)
    return Proven(claims["jti"], float(claims["exp"]) + LEEWAY_SECONDS)


def _check_claims(claims: dict[str, Any], audience: str, now: float) -> None:
    # one audience and no other: who may choose among several can be given an assertion made for somebody else
    if claims["aud"] not in (audience, [audience]):
        raise AssertionRefused(
            "aud", f"The claim aud of the assertion is not the address of this token endpoint: {audience}"
        )
    if claims["exp"] > now + LONGEST_SECONDS + LEEWAY_SECONDS:
        raise AssertionRefused(
            "exp", f"The claim exp of the assertion is more than {LONGEST_SECONDS} seconds ahead. {_clock(now)}"
        )
    if not 0 < len(claims["jti"]) <= LONGEST_JTI:
        raise AssertionRefused("jti", f"The claim jti of the assertion is not a text of 1 to {LONGEST_JTI} characters.")


def _about(error: JoseError) -> str:
    match error:
        case ExpiredTokenError():
            return "The assertion has ended (claim exp)."
        case MissingClaimError():
            return "The assertion lacks one of the claims iss, sub, aud, exp, jti."
    claim = getattr(error, "claim", "")
    return f"The claim {claim if claim in ('iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti') else ''} of the assertion is wrong."


def _clock(now: float) -> str:
    return f"The clock here says {int(now)}."


def unknown(cause: str) -> AssertionRefused:
    """The same sentence whatever of the three it is."""
    return AssertionRefused(
        cause,
        "No such client is registered for this practice, or its key set has not one key of this kid and algorithm, or that "
        "key has not signed this assertion.",
    )


def is_key_set(text: str) -> bool:
    """True when it holds a key, of whatever kind."""
    return bool(_keys_in(text))


def check_key_set(text: str) -> None:
    """Refuse what nobody could sign in with, or nobody should have given away. Raises KeySetRefused."""
    keys = _keys_in(text)
    if not keys:
        raise KeySetRefused('the key set is not JSON of the form {"keys": [...]} with at least one key')
    if any("d" in key or key.get("kty") == "oct" for key in keys):
        raise KeySetRefused("the key set holds a private or secret key: register public halves only, and make new keys")
    usable = [key["kid"] for key in keys for algorithm in KINDS if _signs(key, algorithm) and _imported(key, algorithm)]
    if not usable:
        raise KeySetRefused(
            "the key set holds no key that can be used: an RSA key of 2048 bits or more (RS384) or a P-384 key (ES384), each "
            "with a kid"
        )
    if len(set(usable)) < len(usable):
        raise KeySetRefused("two keys of the set have the same kid")


def _keys_in(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    keys = found.get("keys") if isinstance(found, dict) else None
    return [key for key in keys if isinstance(key, dict)][:MAX_KEYS] if isinstance(keys, list) else []


def _signs(key: dict[str, Any], algorithm: str) -> bool:
    operations = key.get("key_ops", ["verify"])
    return (
        isinstance(key.get("kid"), str)
        and key.get("kty") == KINDS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in key
    )


def _imported(key: dict[str, Any], algorithm: str) -> RSAKey | ECKey | None:
    try:
        if algorithm == "RS384":
            rsa = RSAKey.import_key(key)
            return rsa if rsa.raw_value.key_size >= 2048 else None
        curve = ECKey.import_key(key)
        return curve if curve.curve_name == "P-384" else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
