"""An assertion opens something only when each claim is right and the one registered key has signed it, in an algorithm of ours."""

import base64
import hmac
import json
import time
import uuid

import jwt
import pytest

from integration.client_assertions import AssertionRefused, Proven, key_of, prove, read_assertion
from tests.integration.web.access.smart_client import OUT, key_set, left, private_key, public_jwk

NOW, HERE, ELSEWHERE = 1_800_000_000, "https://exchange.example/fhir/alice/token", "https://elsewhere.example/token"
REGISTERED = key_set(public_jwk("RS384", "k1"))


def claims(**changed) -> dict:
    said = {"iss": "lab", "sub": "lab", "aud": HERE, "exp": NOW + 240, "jti": str(uuid.uuid4())}
    return left({**said, **changed})


def signed(algorithm: str = "RS384", *, key=None, header=None, **changed) -> str:
    key = private_key(algorithm) if key is None else key
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": "k1", **(header or {})})


def shown_to_us(assertion: str, registered: str = REGISTERED) -> Proven:
    """As the token address does it."""
    shown = read_assertion(assertion)
    key = key_of(shown, registered)
    if key is None:
        raise AssertionRefused("key", "no key")
    return prove(shown, key, audience=HERE, now=NOW)


def refused(assertion: str, registered: str = REGISTERED) -> AssertionRefused:
    with pytest.raises(AssertionRefused) as told:
        shown_to_us(assertion, registered)
    return told.value


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_the_right_one_is_proven_until_its_end_and_the_leeway(algorithm):
    proven = shown_to_us(signed(algorithm, jti="j1"), key_set(public_jwk(algorithm, "k1")))
    assert proven == Proven("j1", NOW + 240 + 30)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iss": OUT}, "iss and sub"),
        ({"iss": "somebody"}, "iss and sub"),
        ({"sub": OUT}, "iss and sub"),
        ({"iss": ["lab"], "sub": ["lab"]}, "iss and sub"),
        ({"aud": OUT}, "lacks one"),
        ({"aud": ELSEWHERE}, "claim aud"),
        ({"aud": HERE + "/"}, "claim aud"),
        ({"aud": [ELSEWHERE]}, "claim aud"),
        ({"aud": [HERE, ELSEWHERE]}, "claim aud"),
        ({"aud": []}, "claim aud"),
        ({"aud": {"url": HERE}}, "claim aud"),
        ({"exp": OUT}, "lacks one"),
        ({"exp": "soon"}, "claim exp"),
        ({"exp": True}, "claim exp"),
        ({"exp": float("nan")}, "claim exp"),
        ({"exp": float("inf")}, "claim exp"),
        ({"exp": 10**400}, "300 seconds ahead"),
        ({"exp": NOW - 30}, "has ended"),
        ({"exp": NOW - 600}, "has ended"),
        ({"exp": NOW + 331}, "300 seconds ahead"),
        ({"exp": NOW + 3600}, "300 seconds ahead"),
        ({"jti": OUT}, "lacks one"),
        ({"jti": None}, "lacks one"),
        ({"jti": ""}, "claim jti"),
        ({"jti": 7}, "claim jti"),
        ({"jti": "j" * 257}, "claim jti"),
        ({"nbf": NOW + 31}, "claim nbf"),
        ({"iat": NOW + 31}, "claim iat"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_each_claim_is_checked(changed, said):
    try:
        assertion = signed(**changed)
    except (TypeError, ValueError):  # a library that refuses to say it; others do not
        assertion = by_hand({"alg": "RS384", "typ": "JWT", "kid": "k1"}, claims(**changed))
    assert said in str(refused(assertion))


@pytest.mark.parametrize(
    "header", [{"x5t": "abc"}, {"other": 1}, {"x5c": ["A" * 2000]}, {"jwk": public_jwk("RS384", "k1", 1)}]
)
def test_what_a_header_says_beside_is_ignored(header):
    assert shown_to_us(signed(header=header)).jti


@pytest.mark.parametrize(
    "changed",
    [{"exp": NOW - 29}, {"exp": NOW + 300}, {"exp": NOW + 330}, {"iat": NOW + 29}, {"aud": [HERE]}, {"exp": NOW + 1.5}],
    ids=lambda value: str(value),
)
def test_half_a_minute_and_a_list_of_one_will_do(changed):
    assert shown_to_us(signed(**changed)).jti


def test_two_assertions_never_count_longer_than_what_was_shown_is_kept():
    """Whatever `exp` is taken, it has ended for good when its row may go (integration/store/client_tokens.py)."""
    assert shown_to_us(signed(exp=NOW + 330)).ends_at == NOW + 360


def by_hand(header: dict, said: dict) -> str:
    def plain(value: dict) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    body = plain(header) + b"." + plain(said)
    signature = private_key("RS384").sign(body, padding.PKCS1v15(), hashes.SHA384())
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def signed_with_the_public_key_as_a_secret() -> str:
    """What a library takes that lets the header choose the algorithm."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    secret = private_key("RS384").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body, _, _ = by_hand({"alg": "HS256", "typ": "JWT", "kid": "k1"}, claims()).rpartition(".")
    mac = hmac.digest(secret, body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (lambda: jwt.encode(claims(), "", "none", headers={"kid": "k1"}), "algorithm"),
        (signed_with_the_public_key_as_a_secret, "algorithm"),
        (lambda: signed(key=private_key("RS384"), algorithm="RS256"), "algorithm"),
        (lambda: signed(key=private_key("RS384"), algorithm="PS384"), "algorithm"),
        (lambda: signed(key=private_key("RS384"), algorithm="RS512"), "algorithm"),
        (lambda: by_hand({"alg": ["RS384"], "typ": "JWT", "kid": "k1"}, claims()), "algorithm unreadable"),
        (lambda: by_hand({"typ": "JWT", "kid": "k1"}, claims()), "algorithm unreadable"),
        (lambda: signed(key=private_key("RS384", 1)), "signature"),
        (lambda: signed(key=private_key("RS384", 1), header={"jwk": public_jwk("RS384", "k1", 1)}), "signature"),
        (lambda: signed("ES384"), "key"),
        (lambda: signed(header={"kid": "k2"}), "key"),
        (lambda: by_hand({"alg": "RS384", "typ": "JWT", "kid": 7}, claims()), "kid unreadable"),
        (lambda: by_hand({"alg": "RS384", "typ": "JWT"}, claims()), "kid"),
        (lambda: by_hand({"alg": "RS384", "kid": "k1"}, claims()), "typ"),
        (lambda: signed(header={"typ": "at+jwt"}), "typ"),
        (lambda: by_hand({"alg": "RS384", "typ": "JWT", "kid": "k1", "jku": 7}, claims()), "kid unreadable"),
        (lambda: by_hand({"alg": "RS384", "typ": "JWT", "kid": "k1", "crit": ["exp"], "exp": 1}, claims()), "signature unreadable"),
        (lambda: by_hand({"alg": "RS384", "typ": "JWT", "kid": "k1", "crit": ["b64"], "b64": False}, claims()), "signature unreadable"),
        (lambda: signed()[:-8] + "AAAAAAAA", "signature"),
        (lambda: changed_afterwards(), "signature"),
        (lambda: signed() + "x" * 9000, "too-long"),
        (lambda: "a.b.c", "unreadable"),
        (lambda: "..", "unreadable"),
        (lambda: "", "unreadable"),
        (lambda: "\ud800.b.c", "unreadable"),
        (lambda: "[" * 6000, "unreadable"),
        (lambda: nested(), "unreadable"),
        (lambda: signed(sub="\0", iss="\0"), "iss-sub"),
        (lambda: signed(sub="\ud800", iss="\ud800"), "iss-sub"),
    ],
    ids="none HS256-with-the-public-key RS256 PS384 RS512 a-list-of-algorithms no-algorithm another-key key-in-the-header "
    "another-kind-of-key unknown-kid kid-7 no-kid no-typ another-typ jku-7 crit b64 broken-signature changed too-long letters dots "
    "empty surrogate brackets nested nul-as-client surrogate-as-client".split(),
)  # fmt: skip
def test_what_the_registered_key_has_not_signed_opens_nothing(made, cause):
    assert refused(made()).cause in cause.split()


def changed_afterwards() -> str:
    header, _, signature = signed().split(".")
    _, other, _ = signed(aud=HERE).split(".")
    return f"{header}.{other}.{signature}"


def nested() -> str:
    deep = base64.urlsafe_b64encode(b"[" * 4000).decode()
    header = base64.urlsafe_b64encode(b'{"alg":"RS384","typ":"JWT","kid":"k1"}').rstrip(b"=").decode()
    return f"{header}.{deep}.AAAA"


@pytest.mark.parametrize(
    ("keys", "is_one"),
    [
        ([public_jwk("RS384", "k1")], True),
        ([public_jwk("RS384", "k1"), public_jwk("RS384", "k2", 1)], True),
        ([public_jwk("RS384", "k1"), public_jwk("ES384", "k1")], True),
        ([public_jwk("RS384", "k1"), public_jwk("RS384", "k1", 1)], False),
        ([public_jwk("RS384", "k1"), public_jwk("RS384", "k1")], False),
        ([public_jwk("RS384", "k1", use="enc")], False),
        ([public_jwk("RS384", "k1", alg="RS256")], False),
        ([public_jwk("RS384", "k1", key_ops=["encrypt"])], False),
        ([public_jwk("RS384", "k1", d="AQAB")], False),
        ([public_jwk("RS384", "k1", n=7)], False),
        ([{**public_jwk("RS384", "k1"), "alg": None}], False),
        ([{key: value for key, value in public_jwk("RS384", "k1").items() if key not in ("alg", "key_ops")}], True),
        ([], False),
        (["k1", None, 7], False),
    ],
    ids="one two-kids one-kid-of-two-kinds one-kid-twice the-same-twice for-encryption another-algorithm other-operations private "
    "broken alg-null plain none no-keys".split(),
)
def test_one_key_of_the_set_has_to_match_and_no_more(keys, is_one):
    registered = json.dumps({"keys": keys})
    if is_one:
        assert shown_to_us(signed(), registered).jti
    else:
        assert refused(signed(), registered).cause == "key"


def test_a_p256_key_is_none_of_es384():
    from cryptography.hazmat.primitives.asymmetric import ec
    from jwt.algorithms import ECAlgorithm

    small = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())) | {"kid": "k1"}
    assert refused(signed("ES384"), key_set(small)).cause == "key"


@pytest.mark.parametrize("text", ["", "null", "[]", '{"keys": {}}', "{", "[" * 5000, "\x00"])
def test_a_key_set_that_is_none_has_no_key(text):
    assert refused(signed(), text).cause == "key"


def test_a_sentence_tells_the_time_here_and_nothing_of_a_key():
    said = str(refused(signed(exp=NOW - 600)))
    assert f"The clock here says {NOW}." in said
    assert str(refused(signed(key=private_key("RS384", 1)))) == str(prove_of_a_changed_one())


def prove_of_a_changed_one() -> AssertionRefused:
    return refused(signed()[:-8] + "AAAAAAAA")


def test_it_is_quick_with_a_long_set():
    """A set of many keys costs no more than reading it: only the one that is named is made."""
    many = key_set(*(public_jwk("RS384", f"other-{number}") for number in range(90)), public_jwk("RS384", "k1"))
    begun = time.monotonic()
    assert shown_to_us(signed(), many).jti
    assert time.monotonic() - begun < 2
