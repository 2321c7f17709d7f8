"""How document messages reach an endpoint's interface engine over HL7 v2: the section `hl7v2` of an endpoint in config.yaml."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from integration.settings.auth import Tls
from integration.settings.parts import Name, Seconds, Section, System, is_host
from mappings.hl7v2.document import Habits

_ACKNOWLEDGMENTS = {"original": ("", ""), "enhanced": ("AL", "AL"), "commit": ("AL", "NE")}  # MSH-15, MSH-16
PARTY = r"^[^|~\\&^\x00-\x1f]{1,199}(\^[^|~\\&^\x00-\x1f]{1,199}\^[A-Za-z0-9]{1,20})?$"
Party = Annotated[str, Field(pattern=PARTY)]
EventCode = Annotated[str, Field(pattern=r"^[A-Z][0-9A-Z]{2}$")]


def _as_text(value: object) -> object:
    """2.3 and 2.5 are numbers in YAML, 2.5.1 is not."""
    return str(value) if isinstance(value, float) else value


def _a_host(value: str) -> str:
    if not is_host(value):
        raise ValueError("must be the name or the address of a machine, without a port")
    return value


class Events(Section):
    """Trigger events, where the receiver wants others than the standard's."""

    original: EventCode = Field("T02", description="Of a new document.", examples=["T02"])
    replacement: EventCode = Field("T10", description="Of one that replaces an earlier one of ours.", examples=["T10"])
    retraction: EventCode | None = Field(
        "T11",
        description="Of one that is taken back. null: the receiver knows none, and a person tells them.",
        examples=["T11"],
    )


class Listen(Section):
    """Where the site sends its orders to: REF^I12, ORM^O01 and OMG^O19. Each endpoint has a port of its own."""

    host: Annotated[str, AfterValidator(_a_host)] = Field(
        description="The address of this machine at which we listen.", examples=["10.20.0.5"]
    )
    port: int = Field(ge=0, le=65535, description="The port. 0: any that is free, for tests.", examples=[2576])
    encryption: Literal["tls", "none"] = Field(
        "tls",
        description="`none`: orders travel as they are. Only where the way itself is protected, such as a VPN.",
        examples=["tls"],
    )
    tls: Tls = Field(
        default_factory=Tls,
        description="Our certificate and its key; with `ca_file` the site has to show a certificate of that authority.",
    )
    sending_facility: Party = Field(
        description="MSH-4 of its messages. Any other facility is refused.", examples=["HILLSIDE"]
    )
    order_system: System = Field(
        description="System of its order numbers that name no authority.",
        examples=["https://hillside.example.org/orders"],
    )
    code_systems: Mapping[str, System] = Field(
        default_factory=dict,
        description="Code systems by the site's own names of them, beside those of HL7 table 0396.",
        examples=[{"L": "https://hillside.example.org/codes"}],
    )
    max_message_bytes: int = Field(
        16 << 20, ge=1 << 16, le=1 << 28, description="Largest message that is taken.", examples=[16777216]
    )

    @model_validator(mode="after")
    def _has_certificate(self) -> "Listen":
        if self.encryption == "tls" and self.tls.certificate_file is None:
            raise ValueError(
                "needs `tls.certificate_file` and `tls.key_file`: who listens over TLS shows a certificate"
            )
        return self


class Hl7v2(Section):
    """An interface engine that takes document messages (MDM) over MLLP."""

    host: Annotated[str, AfterValidator(_a_host)] = Field(
        description="The machine on which it listens.", examples=["engine.hillside.example.org"]
    )
    port: int = Field(ge=1, le=65535, description="Its port.", examples=[2575])
    encryption: Literal["tls", "none"] = Field(
        "tls",
        description="`none`: patient data travels as it is. Only where the way itself is protected, such as a VPN.",
        examples=["tls"],
    )
    tls: Tls = Field(default_factory=Tls, description="Certificates: whose we believe, and our own.")
    sending_application: Party = Field(
        "SECOND-OPINION", description="MSH-3, and the namespace of TXA-12: ours.", examples=["SECOND-OPINION"]
    )
    sending_facility: Party = Field(
        description="MSH-4: as the receiver knows us. `NAME`, or `NAME^ID^TYPE`, as in the other three.",
        examples=["EXCHANGE^2.16.840.1.113883.3.72.5^ISO"],
    )
    receiving_application: Party = Field(description="MSH-5.", examples=["EHR"])
    receiving_facility: Party = Field(description="MSH-6.", examples=["HILLSIDE"])
    version: Annotated[Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1"], BeforeValidator(_as_text)] = Field(
        "2.5.1", description="MSH-12.", examples=["2.5.1"]
    )
    processing_id: Literal["P", "T", "D"] = Field(
        "P", description="MSH-11: production, training or debugging.", examples=["P"]
    )
    character_set: Literal[
        "UNICODE UTF-8", "ASCII",
        "8859/1", "8859/2", "8859/3", "8859/4", "8859/5", "8859/6", "8859/7", "8859/8", "8859/9", "8859/15",
    ] = Field(
        "UNICODE UTF-8",
        description="MSH-18. A report with letters that it does not have is not sent by this road; nothing becomes a `?`.",
        examples=["UNICODE UTF-8"],
    )  # fmt: skip
    document: Literal["pdf", "text"] = Field(
        "pdf",
        description="`pdf`: each PDF whole, as `ED`, and texts as lines (`TX`). `text`: the words of all of it as lines of at "
        "most 80 columns; a PDF whose words cannot be had is not sent by this road.",
        examples=["pdf"],
    )
    pdf_type: tuple[Name, Name] = Field(
        ("AP", "PDF"),
        strict=False,
        description="How a PDF is named in OBX-5: type of data and its subtype. Some engines want `application` and `pdf`.",
        examples=[["application", "pdf"]],
    )
    document_type: Name = Field("CN", description="TXA-2; `CN` is a consultation.", examples=["CN"])
    observation: tuple[Name, Name, Name] = Field(
        ("11488-4", "Consult note", "LN"),
        strict=False,
        description="OBX-3: code, words and code system of the note.",
        examples=[["11488-4", "Consult note", "LN"]],
    )
    events: Events = Field(default_factory=Events, description="Trigger events of MSH-9.")
    assigning_authorities: Mapping[str, Party] = Field(
        default_factory=dict,
        description="What the receiver calls the system of a number of its patients, orders or visits, in PID-3, TXA-14 and "
        "PV1-19. Default: the system itself.",
        examples=[{"https://hillside.example.org/mrn": "HILLSIDE"}],
    )
    acknowledgment: Literal["original", "enhanced", "commit"] = Field(
        "original",
        description="`original`: its answer is the application's. `enhanced`: it says first that it keeps the message, then what "
        "the application says of it, on the same connection; only that counts. `commit`: it says only that it keeps it, "
        "and what is known of the report afterwards is `unverifiable`.",
        examples=["original"],
    )
    ack_timeout_seconds: Seconds = Field(
        30.0, le=3600, description="How long we wait for its answer, the application's included.", examples=[30]
    )
    drops_duplicates: bool = Field(
        False,
        description="true: it is known to drop a message whose MSH-10 it had before. Then one whose answer never came is sent again.",
        examples=[True],
    )
    resends: int = Field(
        1,
        ge=0,
        le=5,
        description="How often, with the same MSH-10 and TXA-12, before a person is asked. Only with `drops_duplicates`.",
        examples=[1],
    )

    listen: Listen | None = Field(
        None, description="The site sends its orders as HL7 v2 messages, and `serve` listens for them."
    )

    @property
    def keeps_only(self) -> bool:
        """Whether no application ever answers."""
        return self.acknowledgment == "commit"

    def habits(self, patient_systems: tuple[str, ...]) -> Habits:
        """As the mapping takes them."""
        events = {name: value for name, value in self.events if value is not None}
        same = {name: getattr(self, name) for name in Habits.__dataclass_fields__ if hasattr(self, name)}
        return Habits(
            **{
                **same,
                "events": events,
                "acknowledgments": _ACKNOWLEDGMENTS[self.acknowledgment],
                "patient_systems": patient_systems,
                "authorities": self.assigning_authorities,
            }
        )
