"""How we sign in at an endpoint, and whose certificates we believe: sections of config.yaml. No secret is written in it."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from integration.settings.parts import VARIABLE, Key, Name, Section, check_http

_FILE_OR_VARIABLE = "needs exactly one of `{0}_file` and `{0}_env`"


def _a_file_name(value: str | None) -> str | None:
    if value is not None and ("-----BEGIN" in value or "\n" in value):
        raise ValueError("must be the name of a file; the key itself is never written here")
    return value


class SmartBackendServices(Section):
    """SMART Backend Services (https://hl7.org/fhir/smart-app-launch/backend-services.html)."""

    type: Literal["smart-backend-services"] = Field(
        description="The kind of sign-in.", examples=["smart-backend-services"]
    )
    client_id: Name = Field(description="The client id the other side registered for us.", examples=["exchange-prod"])
    token_url: str | None = Field(
        None,
        description="Token address; without it, read from `.well-known/smart-configuration` of the server.",
        examples=["https://login.example.org/oauth2/token"],
    )
    keys: Key | None = Field(
        None,
        description="Keys made by `second-opinion keys new NAME`; their public half is at "
        "`/.well-known/jwks/NAME.json`. Vendors want another one for test than for production.",
        examples=["production"],
    )
    key_id: Name | None = Field(
        None, description="`kid` of the key in `private_key_file`, as it stands in your JWKS.", examples=["2025-01"]
    )
    algorithm: Literal["RS384", "ES384"] = Field(
        "RS384", description="How the assertion is signed with the key in `private_key_file`.", examples=["RS384"]
    )
    scopes: tuple[Name, ...] | None = Field(
        None,
        strict=False,
        description="Scopes we ask for. Empty: none are sent, and the server grants what the client id has. Default: "
        "`system/*.read` and `system/*.write`; none where the endpoint's profile says so (Epic).",
        examples=[["system/*.rs", "system/*.cu"]],
    )
    private_key_file: str | None = Field(
        None,
        description="Instead of `keys`: a file with our private key (PEM).",
        examples=["/run/secrets/exchange.pem"],
    )
    private_key_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Or an environment variable that holds it.",
        examples=["EXCHANGE_PRIVATE_KEY"],
    )

    _check_token_url = field_validator("token_url")(lambda value: None if value is None else check_http(value))
    _check_file = field_validator("private_key_file")(_a_file_name)

    @model_validator(mode="after")
    def _one_key(self) -> "SmartBackendServices":
        if [self.keys, self.private_key_file, self.private_key_env].count(None) != 2:
            raise ValueError("needs exactly one of `keys`, `private_key_file` and `private_key_env`")
        return self


class ClientSecret(Section):
    """A client secret at a token address (https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)."""

    type: Literal["client-secret"] = Field(description="The kind of sign-in.", examples=["client-secret"])
    client_id: Name = Field(description="The client id the other side registered for us.", examples=["exchange-prod"])
    token_url: str | None = Field(
        None,
        description="Token address; without it, read from `.well-known/smart-configuration` of the server.",
        examples=["https://login.example.org/oauth2/token"],
    )
    sent_as: Literal["basic", "post"] = Field(
        "basic", description="In the Authorization header, or in the form.", examples=["post"]
    )
    scopes: tuple[Name, ...] = Field(
        (), strict=False, description="Scopes we ask for; empty: none are sent.", examples=[["system/*.read"]]
    )
    secret_file: str | None = Field(
        None, description="A file with the secret.", examples=["/run/secrets/medplum-client"]
    )
    secret_env: str | None = Field(
        None, pattern=VARIABLE, description="Or an environment variable that holds it.", examples=["MEDPLUM_SECRET"]
    )

    _check_token_url = field_validator("token_url")(lambda value: None if value is None else check_http(value))
    _check_file = field_validator("secret_file")(_a_file_name)

    @model_validator(mode="after")
    def _one_secret(self) -> "ClientSecret":
        if (self.secret_file is None) == (self.secret_env is None):
            raise ValueError(_FILE_OR_VARIABLE.format("secret"))
        return self


class BearerToken(Section):
    """A token that does not change by itself."""

    type: Literal["bearer"] = Field(description="The kind of sign-in.", examples=["bearer"])
    token_file: str | None = Field(None, description="A file with the token.", examples=["/run/secrets/fhir-token"])
    token_env: str | None = Field(
        None, pattern=VARIABLE, description="Or an environment variable that holds it.", examples=["FHIR_TOKEN"]
    )

    _check_file = field_validator("token_file")(_a_file_name)

    @model_validator(mode="after")
    def _one_token(self) -> "BearerToken":
        if (self.token_file is None) == (self.token_env is None):
            raise ValueError(_FILE_OR_VARIABLE.format("token"))
        return self


class Basic(Section):
    """A user name and a password with every request."""

    type: Literal["basic"] = Field(description="The kind of sign-in.", examples=["basic"])
    user: Name = Field(description="The user name.", examples=["exchange"])
    password_file: str | None = Field(
        None, description="A file with the password.", examples=["/run/secrets/fhir-password"]
    )
    password_env: str | None = Field(
        None, pattern=VARIABLE, description="Or an environment variable that holds it.", examples=["FHIR_PASSWORD"]
    )

    _check_file = field_validator("password_file")(_a_file_name)

    @model_validator(mode="after")
    def _one_password(self) -> "Basic":
        if (self.password_file is None) == (self.password_env is None):
            raise ValueError(_FILE_OR_VARIABLE.format("password"))
        return self


class Tls(Section):
    """Certificates for one endpoint."""

    ca_file: str | None = Field(
        None,
        description="Certificate authorities (PEM) that this endpoint's certificate may be of, instead of the public "
        "ones: for a hospital with an authority of its own.",
        examples=["/etc/second-opinion/mercy-ca.pem"],
    )
    certificate_file: str | None = Field(
        None, description="Our own certificate (PEM) where it asks for one.", examples=["/run/secrets/exchange.crt"]
    )
    key_file: str | None = Field(
        None, description="The private key of `certificate_file`.", examples=["/run/secrets/exchange.key"]
    )

    @model_validator(mode="after")
    def _both(self) -> "Tls":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("`certificate_file` and `key_file` belong together")
        return self


KINDS = {
    "smart-backend-services": SmartBackendServices,
    "client-secret": ClientSecret,
    "bearer": BearerToken,
    "basic": Basic,
}
# Names of files in a section, which are relative to the folder of config.yaml and have to be there.
FILES = ("private_key_file", "secret_file", "token_file", "password_file")
VARIABLES = ("private_key_env", "secret_env", "token_env", "password_env")
TLS_FILES = ("ca_file", "certificate_file", "key_file")


def _kind(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return "none"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in KINDS else "smart-backend-services"


Auth = Annotated[
    Annotated[Literal["none"], Tag("none")]
    | Annotated[SmartBackendServices, Tag("smart-backend-services")]
    | Annotated[ClientSecret, Tag("client-secret")]
    | Annotated[BearerToken, Tag("bearer")]
    | Annotated[Basic, Tag("basic")],
    Discriminator(_kind),
]
