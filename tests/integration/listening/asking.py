"""A site's engine, as far as it sends orders and reads what is answered."""

import contextlib
import socket
import ssl

from mappings.hl7v2.acknowledgment import read_acknowledgment
from tests.mappings.hl7v2.orders import message

CONFIG = """\
endpoints:
  alice:
    base_url: https://alice.example.org/fhir
    role: placer
    finds_orders: false
    default_fulfiller: bob
    local_codes: [{{system: "urn:hill:codes", code: 2ND-OP}}]
    hl7v2:
      host: engine.example.org
      port: 2575
      sending_facility: EXCHANGE
      receiving_application: EHR
      receiving_facility: HILLSIDE
      assigning_authorities: {{"urn:hill:mrn": HILL}}
      listen: {{host: 127.0.0.1, port: 0, sending_facility: HILLSIDE, order_system: "urn:hill:orders",
               code_systems: {{L: "urn:hill:codes"}}, max_message_bytes: 65536, {more}}}
  bob: {{base_url: "https://bob.example.org/fhir", role: fulfiller}}
"""


def ask(port: int, *messages: str | bytes, context: ssl.SSLContext | None = None) -> list[str]:
    """``AA``, or ``AE (PID-3 101)`` for each message, over one connection."""
    said = []
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with (
            context.wrap_socket(plain, server_hostname="localhost")
            if context
            else contextlib.nullcontext(plain) as wire
        ):
            for each in messages:
                wire.sendall(b"\x0b" + (message(each) if isinstance(each, str) else each) + b"\x1c\r")
                held = b""
                while not held.endswith(b"\x1c\r"):
                    data = b""
                    with contextlib.suppress(ConnectionResetError):
                        data = wire.recv(65536)
                    if not data:
                        return [*said, "closed"]
                    held += data
                found = read_acknowledgment(held[1:-2])
                assert found is not None, held
                said.append(found.words)
    return said
