"""Our own FHIR R4 endpoint, for practices that have none and for demo and tests."""

from integration.hosted.blueprint import create_hosted

__all__ = ["create_hosted"]
