"""The next move of a case: what has to happen now, and whose it is. The board sorts and filters by it, the case page says it."""

from enum import StrEnum


class Mover(StrEnum):
    """Whose move it is."""

    COORDINATOR = "coordinator"  # of the practice that asks
    CONSULTANT = "consultant"  # of the practice that is asked
    OPERATOR = "operator"
    EXCHANGE = "exchange"


class Move(StrEnum):
    """What has to happen now."""

    READ = "read"  # the opinion is there and nobody has said that they read it
    DECLINED = "declined"  # the consultant does not take it, or it could not be done
    CONSENT = "consent"  # the patient's consent keeps something from leaving
    QUESTION = "question"  # the request lacks something, or the program refuses it
    CARRY = "carry"  # the opinion could not be delivered by itself
    HELD = "held"  # a transfer stopped
    TELL = "tell"  # the consultant put it on hold
    RETURN = "return"  # the opinion goes back
    SEND = "send"  # the request is being prepared
    ANSWER = "answer"  # yes or no
    OPINION = "opinion"


WHOSE: dict[Move, Mover] = {
    Move.READ: Mover.COORDINATOR,
    Move.DECLINED: Mover.COORDINATOR,
    Move.CONSENT: Mover.COORDINATOR,
    Move.QUESTION: Mover.COORDINATOR,
    Move.CARRY: Mover.COORDINATOR,
    Move.HELD: Mover.OPERATOR,
    Move.TELL: Mover.COORDINATOR,
    Move.RETURN: Mover.EXCHANGE,
    Move.SEND: Mover.EXCHANGE,
    Move.ANSWER: Mover.CONSULTANT,
    Move.OPINION: Mover.CONSULTANT,
}
QUESTIONS = ("information-missing", "program-refuses")  # causes of a parked step that the side that asks can answer


def of(mover: Mover) -> tuple[Move, ...]:
    """The moves of one of them."""
    return tuple(move for move, whose in WHOSE.items() if whose is mover)
