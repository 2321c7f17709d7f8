"""The health library in config.yaml: an Infobutton service that has something to read about a diagnosis. Off by default."""

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from integration.settings.parts import Section, check_http, check_network, is_loopback, split_address


class HealthLibrary(Section):
    """Something to read about the diagnosis, from a service with MedlinePlus Connect's interface (docs/how-to/health-library.md)."""

    address: str | None = Field(
        None,
        description="The service, which is asked with the code of the diagnosis and nothing else. Without it nobody is asked.",
        examples=["https://connect.medlineplus.gov/service"],
    )
    name: str = Field(
        "MedlinePlus",
        min_length=1,
        max_length=80,
        description="The source, as it is named beside what it says.",
        examples=["MedlinePlus, National Library of Medicine"],
    )
    languages: tuple[str, ...] = Field(
        ("en", "es"),
        strict=False,
        min_length=1,
        max_length=10,
        description="Languages that it is asked in, the first one by default; MedlinePlus has `en` and `es`.",
        examples=[["en", "es"]],
    )
    requests_per_minute: int = Field(
        60,
        ge=1,
        le=100,
        description="The most that it is asked in a minute, by all processes together. MedlinePlus answers nothing for five minutes "
        "to whoever asks more than 100 times.",
        examples=[60],
    )
    cache_hours: int = Field(
        24, ge=12, le=24, description="How long an answer is kept; MedlinePlus asks for 12 to 24 hours.", examples=[24]
    )
    networks: tuple[Annotated[str, AfterValidator(check_network)], ...] = Field(
        (),
        strict=False,
        description="Private networks in which the service may lie. Without them only a public address is asked.",
        examples=[["10.20.0.0/16"]],
    )

    @field_validator("address")
    @classmethod
    def _over_tls(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = split_address(check_http(value))
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("must begin with https://: a diagnosis travels there")
        return value

    @field_validator("languages")
    @classmethod
    def _tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not (each.isascii() and each.isalpha() and each.islower() and len(each) in (2, 3)) for each in value):
            raise ValueError("are codes of two or three small letters, such as en")
        return value
