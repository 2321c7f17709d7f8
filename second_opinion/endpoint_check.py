"""``second-opinion endpoints check`` for people: what works, what does not, by which road our writes go, and what to do about it."""

_WORD = {True: "yes", False: "NO", None: "?"}


def lines(found: dict) -> str:
    """What `jobs.upkeep.endpoint_check.checked` found."""
    shown = [f"{found['endpoint']}: {'usable' if not found['problems'] else 'NOT usable'}"]
    shown += [f"  {line}" for line in (found["problems"] if found["problems"] else found["sentences"])]
    width = max((len(each["what"]) for each in found["tried"]), default=0)
    shown += [f"  {_WORD[each['worked']]:<4} {each['what']:<{width}}  {each['says']}" for each in found["tried"]]
    shown += _writes(found)
    shown += [f"  changed since the last check: {each}" for each in found["changed_since"]]
    shown += [f"  STAYS THERE: {each}" for each in found["left_there"]]
    shown += [f"  reviewed difference: {line}" for line in found["allowed_differences"]]
    if found["config_yaml"]:
        shown += ["", "to write into config.yaml, in place of the same keys of this endpoint:", found["config_yaml"]]
    return "\n".join(shown)


def _writes(found: dict) -> list[str]:
    """A line for each write: its road, what can be known of it, and below it what will degrade."""
    if not found["writes"]:
        return []
    guess, profile = found["guessed_profile"], found["profile"]
    as_guessed = f" (with profile: {guess})" if guess and profile == "generic" else ""
    shown = [f"  our writes{as_guessed}:"]
    width = max(len(each["write"]) for each in found["writes"])
    for each in found["writes"]:
        road, level = each["road"] or "NONE", each["level"] or "-"
        shown.append(
            f"    {each['write']:<{width}}  {road:<17} {level:<13}{'not tried; ' if each['road'] and not each['tried'] else ''}{each['says']}"
        )
        shown += [f"      - {words}" for words in each["degrades"]]
    return shown
