"""Our own FHIR R4 endpoint, for practices that have none and for demo and tests."""

from integration.hosted.blueprint import MAX_BODY_BYTES, create_hosted

__all__ = ["MAX_BODY_BYTES", "create_hosted"]
