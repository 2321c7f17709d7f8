"""Where the pages, the API and the hosted endpoints listen, in config.yaml."""

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from integration.settings.parts import (
    Section,
    check_http,
    check_network,
    is_host,
    is_loopback,
    split_address,
)


class ClientKeys(Section):
    """From where the key sets of clients are fetched that were registered by an address."""

    networks: tuple[Annotated[str, AfterValidator(check_network)], ...] = Field(
        (),
        strict=False,
        description="Private networks in which such an address may lie. Without them only public addresses are asked, "
        "whatever its name leads to.",
        examples=[["10.20.0.0/16"]],
    )
    ca_file: str | None = Field(
        None,
        description="Certificate authorities (PEM) that are believed there, instead of the public ones.",
        examples=["/etc/second-opinion/clinic-ca.pem"],
    )


class Web(Section):
    """Where the pages, the API and the hosted endpoints listen."""

    sign_in: Literal["off", "required"] = Field(
        "off",
        description="`required`: people sign in with an account, machines send a token, and each may do what its "
        "roles allow (docs/how-to/sign-in.md). `off`: whoever reaches the address may do everything.",
        examples=["required"],
    )
    public_url: str | None = Field(
        None,
        description="How people reach us through a TLS proxy: scheme and host, no path. It decides the cookies, which "
        "host and origin are ours, and links. Needs `sign_in: required`.",
        examples=["https://exchange.example.org"],
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen at. Another than a loopback address only with "
        "`sign_in: required` and a `public_url` of https.",
        examples=["127.0.0.1"],
    )
    port: int = Field(8080, ge=1, le=65535, description="TCP port.", examples=[8080])
    trusted_proxy: str = Field(
        "127.0.0.1",
        description="Address of the TLS proxy as we see it. With `public_url`, only from "
        "there `X-Forwarded-For` is believed.",
        examples=["127.0.0.1"],
    )
    session_idle_minutes: int = Field(
        30, ge=1, le=1440, description="A session ends so long after the last click.", examples=[30]
    )
    session_hours: int = Field(
        12, ge=1, le=168, description="A session ends so long after signing in, at the latest.", examples=[12]
    )

    client_keys: ClientKeys = Field(
        default_factory=ClientKeys,
        description="Key sets of clients of hosted practices (docs/how-to/hosted-smart.md).",
    )

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str | None, info: Any) -> str | None:
        if value is None:
            return None
        value = check_http(value)
        parts = split_address(value)
        if parts.path:
            raise ValueError("must have no path: give the Exchange a host name of its own")
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://, because passwords and patient data travel there")
        if info.data.get("sign_in") == "off":
            raise ValueError("needs `sign_in: required`: without it, whoever reaches that address sees patient data")
        return f"{parts.scheme}://{parts.netloc.lower()}".removesuffix(":443" if parts.scheme == "https" else ":80")

    @field_validator("host")
    @classmethod
    def _beyond_loopback(cls, value: str, info: Any) -> str:
        if not is_host(value):
            raise ValueError("must be an IP address or the name of this machine")
        if is_loopback(value) or "sign_in" not in info.data or "public_url" not in info.data:
            return value  # what those two are wrong in is said there
        if info.data["sign_in"] == "off":
            raise ValueError(
                "must be a loopback address: the pages show patient data, and without `sign_in: required` "
                "whoever reaches them sees it"
            )
        if not (info.data["public_url"] or "").startswith("https://"):
            raise ValueError(
                "must be a loopback address, unless `public_url` says at which https:// address a TLS proxy "
                "is before it: passwords and patient data must not travel in the clear"
            )
        return value

    @field_validator("trusted_proxy")
    @classmethod
    def _an_address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("must be an IP address") from None

    @property
    def address(self) -> str:
        """``http://host:port`` as our own workers reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_https(self) -> bool:
        """People reach us by TLS, so cookies never travel without."""
        return (self.public_url or "").startswith("https://")

    @property
    def needs_sign_in(self) -> bool:
        """Nothing without an account or a token."""
        return self.sign_in == "required"
