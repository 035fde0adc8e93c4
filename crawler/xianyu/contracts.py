"""Contracts for `scrapy check`: what the callbacks yield for the answers in `samples/`. No network is needed.

@saved search.json      the response is this file
@listings 8 9           the callback yields at least 8 and at most 9 `Listing` objects
@rejects 2              it yields exactly 2 `Reject` objects
@fields title area      in each listing these fields are not empty
"""

from pathlib import Path
from typing import Any, ClassVar, Final

from scrapy.contracts import Contract
from scrapy.exceptions import ContractFail

from .items import Listing
from .parsing import Reject

SAMPLES: Final = Path(__file__).resolve().parent.parent / "samples"


class SavedContract(Contract):
    """`@saved NAME`: the callback is given this file from `samples/`."""

    name = "saved"

    def adjust_request_args(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the request, with the URL of the file."""
        (sample,) = self.args
        return {**args, "url": (SAMPLES / sample).as_uri()}


class _CountContract(Contract):
    kind: ClassVar[type]

    def post_process(self, output: list[Any]) -> None:
        """Raise `ContractFail` unless the callback yielded as many as the contract says."""
        least, most = int(self.args[0]), int(self.args[-1])
        found = sum(isinstance(each, self.kind) for each in output)
        if not least <= found <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise ContractFail(f"{found} {self.name}, not {expected}")


class ListingsContract(_CountContract):
    """`@listings LEAST [MOST]`; one number is exact."""

    name = "listings"
    kind = Listing


class RejectsContract(_CountContract):
    """`@rejects LEAST [MOST]`; one number is exact."""

    name = "rejects"
    kind = Reject


class FieldsContract(Contract):
    """`@fields NAME…`: in each listing these fields are neither null nor empty."""

    name = "fields"

    def post_process(self, output: list[Any]) -> None:
        """Raise `ContractFail` naming the fields that are empty in any listing."""
        listings = [each for each in output if isinstance(each, Listing)]
        empty = {name for name in self.args for listing in listings if getattr(listing, name) in (None, "", [])}
        if empty:
            raise ContractFail(f"nothing in {', '.join(sorted(empty))}")
