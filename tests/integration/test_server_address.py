"""Two spellings of one address are one server; what its name says of tests is heard."""

from types import SimpleNamespace

import pytest

from integration.server_address import address_of, is_for_tests


def of(url, hosted=""):
    return address_of(SimpleNamespace(base_url=url, hosted_practice=hosted))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Fhir.Example.org/R4", "https://fhir.example.org:443/R4/"),
        ("http://[::1]:80/fhir", "http://[::1]/fhir"),
    ],
)
def test_two_spellings_are_one_address(one, other):
    assert of(one) == of(other)


@pytest.mark.parametrize(
    "other", ["http://fhir.example.org/R4", "https://fhir.example.org/r4", "https://fhir.example.org:8443/R4"]
)
def test_another_scheme_path_or_port_is_another_address(other):
    assert of("https://fhir.example.org/R4") != of(other)


def test_a_practice_of_ours_is_the_same_at_any_port():
    assert of("http://127.0.0.1:1/fhir/hillside", "hillside") == of("http://127.0.0.1:2/fhir/hillside", "hillside")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://fhir-test.example.org/r4", True),
        ("https://sandbox.vendor.example/r4", True),
        ("https://fhir.example.org/uat2/r4", True),
        ("https://latest.example.org/r4", False),
        ("https://fhir.example.org/contest", False),
        ("https://develop-health.example/r4", False),
    ],
)
def test_a_test_server_is_known_by_a_whole_word(address, said):
    assert is_for_tests(address) is said
