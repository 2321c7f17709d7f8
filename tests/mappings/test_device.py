"""Two words of a browser's own name, and nothing by which one device could be told from another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.device import Class, Device, device_of

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    ("said", "kind", "browser"),
    [
        (IPHONE, "phone", "Safari"),
        (IPHONE.replace("Version/17.5", "CriOS/126.0"), "phone", "Chrome"),
        (IPHONE.replace("Version/17.5", "FxiOS/127.0"), "phone", "Firefox"),
        (ANDROID, "phone", "Chrome"),
        (ANDROID.replace("Chrome/126.0.0.0", "SamsungBrowser/25.0 Chrome/121.0.0.0"), "phone", "Samsung Internet"),
        (ANDROID.replace(" Mobile", ""), "tablet", "Chrome"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", "computer", "Edge"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "computer", "Firefox"),
        ("Mozilla/5.0 (iPad; CPU OS 12_2 like Mac OS X) Version/12.1 Mobile/15E148 Safari/604.1", "tablet", "Safari"),
        ("curl/8.5.0", "unknown", ""),
        ("", "unknown", ""),
    ],
)  # fmt: skip
def test_classes_and_browsers(said, kind, browser):
    assert device_of(said) == Device(Class(kind), browser)


@given(st.text(max_size=400))
def test_little_is_kept_and_it_is_read_back_as_it_was(said):
    found = device_of(said)
    assert device_of(found.kept) == found and len(found.kept) < 30
