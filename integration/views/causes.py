"""A stopped step in plain language: what happened, and what a person may do about it."""

from mappings.model.causes import cause_named


def explain(row) -> tuple[str, str]:
    """What happened and what to do, for a step, delivery or group (anything with cause, action and maybe message).

    A cause that is not declared, as of a newer version, shows what is stored with the step.
    """
    known = cause_named(row.cause)
    happened = known.happened or getattr(row, "message", None) or row.cause or ""
    return happened, known.to_do or getattr(row, "action", None) or ""
