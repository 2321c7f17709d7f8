"""How an endpoint may tell us that it has news: a section of config.yaml. No secret is written in it."""

from pydantic import Field, field_validator, model_validator

from integration.settings.parts import VARIABLE, Section

SHORTEST_SECRET = 24
FILES, VARIABLES = ("secret_file",), ("secret_env",)


class Hints(Section):
    """Notifications of a FHIR Subscription are taken at `/hooks/<endpoint>`: a hint that makes our next look due."""

    secret_file: str | None = Field(
        None,
        description="A file with the secret that the endpoint sends in the header `Authorization: Bearer ...`; at least "
        f"{SHORTEST_SECRET} characters.",
        examples=["/run/secrets/mercy-hints"],
    )
    secret_env: str | None = Field(
        None, pattern=VARIABLE, description="Or an environment variable that holds it.", examples=["MERCY_HINTS"]
    )

    @field_validator("secret_file")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        if value is not None and "\n" in value:
            raise ValueError("must be the name of a file; what is secret is never written here")
        return value

    @model_validator(mode="after")
    def _one_secret(self) -> "Hints":
        if (self.secret_file is None) == (self.secret_env is None):
            raise ValueError("needs exactly one of `secret_file` and `secret_env`")
        return self
