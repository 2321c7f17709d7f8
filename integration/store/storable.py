"""Text from elsewhere as PostgreSQL can hold it."""


def storable(text: str, length: int) -> str:
    """At most ``length`` characters; a NUL or half a surrogate pair becomes a replacement character."""
    return text[:length].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
