"""The storm's clients: users who buy, pay, ship, quarrel and withdraw over HTTP, and never give a request up.

A request that gets no answer, a 503, or the 409 of a request that still runs is sent again under its
`Idempotency-Key`, to whichever web server answers. So each has one final answer, and `ClientLog` keeps what it said was
done: the checks compare that with what really was.
"""

import http.client
import json
import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from app.answers import Answer
from app.fen import format_yuan, parse_yuan
from app.orders.actions import EVENT_URLS
from tests.live import Reply
from tests.money.sandbox_server import fetch, form_action

_TIMEOUT = 30.0
_LAST_PATIENCE = 120.0  # seconds that a request may take to its final answer after the storm

# The order's steps by the URL of whoever is named first; what each one needs is in `_body`.
_STEPS = {event.value: next(iter(urls.values())) for event, urls in EVENT_URLS.items()}
_WITH_REASON = {
    "request_refund",
    "reject_refund",
    "dispute",
    "contest_return",
    "resolve_for_buyer",
    "resolve_for_seller",
}
_DECISIONS = ("resolve_for_buyer", "resolve_for_seller")
# The sandbox lets these payees' transfers take a while, fail, and be refused.
_PAYEES = ("wang@example.com",) * 4 + ("slow@example.com", "fail@example.com", "refuse@example.com")
# Users who let everything end well would leave half of the table unused.
_WEIGHTS = {"cancel": 1, "dispute": 1, "extend_receipt": 1, "hide": 1, "request_refund": 2, "state_case": 2, "pay": 12}


@dataclass(frozen=True)
class Person:
    """A user, with a token and an address."""

    id: int
    headers: dict[str, str]
    address_id: int


@dataclass
class ClientLog:
    """What all clients did and were told; safe to share between them."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind of request and HTTP status, each attempt; "none" where no answer came."""
    resent: int = 0
    replayed: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    """Steps of orders that were answered with success."""
    orders: set[int] = field(default_factory=set)
    payouts: set[int] = field(default_factory=set)
    payments: int = 0
    """What the gateway's cashier took."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, status: str) -> None:
        """Count an attempt."""
        with self.lock:
            self.answers[kind, status] += 1


@dataclass
class GoodsForSale:
    """The goods that are fought over."""

    goods: list[int]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pick(self, dice: random.Random) -> int | None:
        """One of them; often the same for several clients at once."""
        with self.lock:
            return dice.choice(self.goods[:8]) if self.goods else None

    def add(self, good_id: int) -> None:
        """Put another one up."""
        with self.lock:
            self.goods.append(good_id)

    def drop(self, good_id: int) -> None:
        """It is gone."""
        with self.lock:
            if good_id in self.goods:
                self.goods.remove(good_id)


class Client(threading.Thread):
    """Acts for some users until the storm is over; `ended` is when that was."""

    def __init__(
        self,
        *,
        number: int,
        seed: int,
        ports: Sequence[int],
        people: Sequence[Person],
        everybody: dict[int, Person],
        staff: Person,
        goods_for_sale: GoodsForSale,
        client_log: ClientLog,
        over: threading.Event,
    ) -> None:
        super().__init__(name=f"client-{number}")
        self.dice = random.Random(f"{seed}-{number}")
        self.ports, self.people, self.everybody, self.staff = ports, people, everybody, staff
        self.goods_for_sale, self.client_log, self.over = goods_for_sale, client_log, over
        self.last_order: int | None = None

    def run(self) -> None:
        """One thing after the other."""
        while not self.over.is_set():
            act = self.dice.choices(
                [self._buy, self._take_steps, self._release, self._withdraw, self._try_as_stranger, self._decide],
                [4, 16, 1, 1, 1, 1],
            )[0]
            try:
                act(self.dice.choice(self.people))
            except Exception as error:  # noqa: BLE001 - whatever it is, the storm has found it
                with self.client_log.lock:
                    self.client_log.wrong.append(
                        f"{self.name} fell over {act.__name__}: {type(error).__name__}: {error}"
                    )

    # --- what people do ---

    def _buy(self, person: Person) -> None:
        good_id = self.goods_for_sale.pick(self.dice)
        if good_id is None:
            self._release(person)
            return
        mode = self.dice.choice([6, 7])
        # Nobody edits in a storm: what was released is what is bought.
        body = {"trade_mode": mode, "revision": 1, **({"address_id": person.address_id} if mode == 7 else {})}
        reply = self._send("buy", f"/api/buy/{good_id}/", body, person)
        if reply.status == 200:
            with self.client_log.lock:
                self.client_log.orders.add(reply.body["data"]["id"])
        elif reply.body["msg"] == Answer.GOOD_NOT_FOR_SALE.msg and self.dice.random() < 0.3:
            # Not at once: it comes back when its order is cancelled.
            self.goods_for_sale.drop(good_id)
            self._release(person)

    def _release(self, person: Person) -> None:
        body = {
            "title": f"九成新 Switch 游戏机 {self.dice.randrange(10**6)}",
            "description": "带两个手柄,可当面验货。",
            "price": format_yuan(self.dice.randrange(100, 90000)),
            "freight": "12.00",
            "category": 2,
            "trade_mode": 8,
        }
        reply = self._send("release", "/api/good_release/", body, person)
        if reply.status == 200:
            self.goods_for_sale.add(reply.body["data"]["id"])

    def _take_steps(self, person: Person) -> None:
        side = self.dice.choice(["buy", "sell"])
        listed = self._send("list", f"/api/{side}_order/?size=30", None, person, method="GET")
        orders = [each for each in listed.body["data"].get("items", []) if each["actions"]]
        if self.dice.random() < 0.9:
            orders = [each for each in orders if not each["closed"]]
        if not orders:
            return
        order = self.dice.choice(orders)
        names = [action["name"] for action in order["actions"]]
        name = self.dice.choices(names, [_WEIGHTS.get(each, 6) for each in names])[0]
        self.last_order = order["id"]
        if name == "pay":
            self._pay(person, order["id"])
        elif name == "hide":
            self._send("hide", f"/api/edit_order/{order['id']}/", None, person, method="DELETE")
        elif name == "state_case":
            # No line of the history: only that it is answered.
            self._send(name, f"/api/dispute_statement/{order['id']}/", {"text": "包裹里少了耳机"}, person)
        elif name == "receive" and side == "sell":
            self._hand_over(person, order)
        else:
            self._step(person, name, order["id"])

    def _pay(self, person: Person, order_id: int) -> None:
        reply = self._send("open cashier", f"/order/pay/{order_id}/", None, person)
        if reply.status != 302:
            return
        chance = self.dice.random()
        if chance < 0.15:  # thinks better of it: the trade stays open until the deadline
            return
        page = fetch(reply.headers.get("Location") or reply.headers["location"])
        if page.status != 200:  # it was cancelled meanwhile
            self.client_log.note("gateway page", str(page.status))
            return
        action = form_action(page.text)
        if chance < 0.35:  # pays and cancels at the same moment
            with ThreadPoolExecutor(1) as other:
                cancelling = other.submit(self._step, person, "cancel", order_id)
                self._pay_at_gateway(action)
                cancelling.result()
            return
        if chance < 0.45:  # pays when the time is nearly, or just, over
            self.over.wait(self.dice.uniform(12, 22))
        self._pay_at_gateway(action)

    def _pay_at_gateway(self, action: str) -> None:
        status = fetch(action, form={}).status
        self.client_log.note("pay at gateway", str(status))
        if status == 302:
            with self.client_log.lock:
                self.client_log.payments += 1

    def _hand_over(self, seller: Person, order: dict[str, Any]) -> None:
        code = "000000"
        if self.dice.random() < 0.8:
            buyer = self.everybody[order["buyer"]["id"]]
            detail = self._send("read", f"/api/order/{order['id']}/", None, buyer, method="GET")
            code = detail.body["data"]["handover_code"] or code
        reply = self._send("hand over", f"/api/seller_hand_over/{order['id']}/", {"code": code}, seller)
        self._count_step("receive", reply)

    def _step(self, person: Person, name: str, order_id: int) -> None:
        reply = self._send(name, _STEPS[name].format(id=order_id), self._body(name, person), person)
        self._count_step(name, reply)

    def _count_step(self, name: str, reply: Reply) -> None:
        if reply.status == 200:
            with self.client_log.lock:
                self.client_log.steps[name] += 1

    def _body(self, name: str, person: Person) -> dict[str, Any] | None:
        parcel = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
        if name == "ship":
            return {"address_id": person.address_id, **parcel}
        if name == "send_back":
            return {**parcel, "freight": "12.00"}
        return {"reason": "与描述不符"} if name in _WITH_REASON else None

    def _withdraw(self, person: Person) -> None:
        wallet = self._send("wallet", "/api/wallet/", None, person, method="GET").body["data"]
        available = parse_yuan(wallet["available"])
        if available < 100:
            return
        # Sometimes more than there is.
        fen = self.dice.choice([available, available // 2, available + 1])
        body = {"amount": format_yuan(fen), "account": self.dice.choice(_PAYEES), "name": "王小明"}
        reply = self._send("withdraw", "/api/withdraw/", body, person)
        if reply.status == 200:
            with self.client_log.lock:
                self.client_log.payouts.add(reply.body["data"]["id"])

    def _try_as_stranger(self, person: Person) -> None:
        """Try a step on an order that somebody touched lately, allowed or not."""
        if self.last_order is not None:
            self._step(person, self.dice.choice(list(_STEPS)), self.last_order)

    def _decide(self, _person: Person) -> None:
        """Staff decide a dispute."""
        listed = self._send("list disputes", "/api/staff/disputes/", None, self.staff, method="GET")
        disputes = listed.body["data"].get("items", [])
        if disputes:
            dispute = self.dice.choice(disputes)
            self._step(self.staff, self.dice.choice(_DECISIONS), dispute["order"]["id"])

    # --- how they ask ---

    def _send(
        self, kind: str, path: str, body: dict[str, Any] | None, person: Person, *, method: str = "POST"
    ) -> Reply:
        """The final answer to a request, however often it has to be sent."""
        headers = dict(person.headers)
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid.UUID(int=self.dice.getrandbits(128)))
        given_up = None
        attempts = 0
        while True:
            attempts += 1
            port = self.dice.choice(self.ports)
            try:
                reply = _request(port, method, path, body, headers)
            except (OSError, http.client.HTTPException):
                self.client_log.note(kind, "none")
                again = True
            else:
                self.client_log.note(kind, str(reply.status))
                running = reply.status == 409 and reply.body["msg"] == Answer.REQUEST_RUNNING.msg
                again = reply.status == 503 or running
            if not again:
                break
            if self.over.is_set():
                given_up = given_up or time.monotonic() + _LAST_PATIENCE
                assert time.monotonic() < given_up, f"no final answer to {method} {path} within {_LAST_PATIENCE} s"
            time.sleep(self.dice.uniform(0.05, 0.5))  # as a client does: nothing to poll but the server itself
        with self.client_log.lock:
            self.client_log.resent += attempts - 1
            self.client_log.replayed += reply.headers.get("idempotency-replayed") == "true"
        if reply.status >= 500:
            with self.client_log.lock:
                self.client_log.wrong.append(f"{method} {path}: {_start(reply)}")
        elif method == "POST" and reply.status not in (302, 404) and self.dice.random() < 0.05:
            # A 404 is not kept: what is looked for may be public by the second time, and is then bought.
            self._send_again(path, body, headers, reply)
        return reply

    def _send_again(self, path: str, body: dict[str, Any] | None, headers: dict[str, str], first: Reply) -> None:
        """The same again, though the answer came: the answer has to be the same, bytes and all."""
        try:
            again = _request(self.dice.choice(self.ports), "POST", path, body, headers)
        except (OSError, http.client.HTTPException):
            return
        with self.client_log.lock:
            self.client_log.replayed += again.headers.get("idempotency-replayed") == "true"
        if again.status not in (503, 429, 401) and first.status not in (429, 401):
            same = (again.status, again.content) == (first.status, first.content)
            if not same and not (again.status == 409 and again.body["msg"] == Answer.REQUEST_RUNNING.msg):
                with self.client_log.lock:
                    self.client_log.wrong.append(f"POST {path} again: {_start(first)}, then {_start(again)}")


def _start(reply: Reply) -> str:
    return f"{reply.status} {reply.content[:300].decode(errors='replace')}"


def _request(port: int, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        data = None if body is None else json.dumps(body).encode()
        sent = headers if data is None else {**headers, "Content-Type": "application/json"}
        connection.request(method, path, body=data, headers=sent)
        response = connection.getresponse()
        content = response.read()
        names = {name.lower(): value for name, value in response.headers.items()}
        is_json = re.match("application/json", names.get("content-type", ""))
        return Reply(response.status, names, content, json.loads(content) if is_json else None)
    finally:
        connection.close()
