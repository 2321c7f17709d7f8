"""Dr Bob without an EHR: his practice works on our pages, and its endpoint is one of ours that is read over real HTTP."""

from integration import desk
from integration.web import create_app
from mappings.model.desk import TypedSaid
from tests.jobs.exchange import Exchange


def at_our_pages(exchange: Exchange) -> Exchange:
    """The exchange, whose pages know that both practices are hosted here."""
    known = exchange.config.endpoints
    hosted = {key: each.model_copy(update={"hosted_practice": key}) for key, each in known.items()}
    exchange.config = exchange.config.model_copy(update={"endpoints": hosted})
    exchange.hosted_log.stop()
    exchange.app = create_app(exchange.config, exchange.engine, exchange.payloads)
    exchange.hosted_log = exchange.app.extensions["second_opinion"]["hosted_log"]
    return exchange


def accept(exchange: Exchange, request_id: str, people: str = "Dr. Bob Example") -> None:
    """The practice takes the request, after whatever it said before."""
    last = desk.look(exchange.engine, exchange.config, request_id, actor="bob").last
    typed = TypedSaid("accept", people=people)
    desk.answer(exchange.engine, exchange.config, request_id, typed, last=last, actor="bob")
