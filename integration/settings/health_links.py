"""SMART Health Links in config.yaml: how those that we make look, and from where those that patients bring are fetched."""

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from integration.settings.parts import Section, check_http, check_network, is_loopback, split_address


class HealthLinks(Section):
    """Links by which a patient carries the packet, and links that a patient brings (docs/how-to/health-links.md)."""

    viewer: str | None = Field(
        None,
        description="A page that shows SMART Health Links, put before each link so that a phone opens it. What stands behind its "
        "`#` reaches no server. Without it the link alone is in the QR code.",
        examples=["https://viewer.example.org/"],
    )
    longest_days: int = Field(
        365, ge=1, le=1825, description="The most days that a link may be good for.", examples=[90]
    )
    max_bytes: int = Field(
        50_000_000,
        ge=1_000_000,
        le=1_000_000_000,
        description="The most that one link carries, before it is encrypted, and the most that is taken in from one. Documents "
        "beyond it are left out, and the page says how many.",
        examples=[50_000_000],
    )
    networks: tuple[Annotated[str, AfterValidator(check_network)], ...] = Field(
        (),
        strict=False,
        description="Private networks in which the server of a link that a patient brings may lie. Without them only public "
        "addresses are asked, whatever a name leads to.",
        examples=[["10.20.0.0/16"]],
    )
    ca_file: str | None = Field(
        None,
        description="Certificate authorities (PEM) that are believed there, instead of the public ones.",
        examples=["/etc/second-opinion/clinic-ca.pem"],
    )
    allow_http: bool = Field(
        False,
        description="Also ask servers of links without TLS. For tests alone: everybody on the way reads the passcode.",
        examples=[False],
    )

    @field_validator("viewer")
    @classmethod
    def _a_page(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = split_address(check_http(value.removesuffix("#")))
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://: it is shown the key to a record")
        return value.removesuffix("#")
