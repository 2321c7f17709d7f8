"""The pages' site, for what they read."""

from tests.integration.web.conftest import site  # noqa: F401
