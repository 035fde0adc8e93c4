"""Imports every model, so that metadata is complete for migrations."""

from app.accounts.models import Address, LoginSession, StaffRead, User
from app.db.erasable_texts import ErasableText
from app.goods.models import Appeal, Good, GoodRevision, Picture, PictureUsage, ReviewCase, Verdict
from app.idempotency import IdempotencyKey
from app.ledger.models import LedgerAccount, LedgerEntry, LedgerTransaction
from app.listings.models import CrawlRun, Listing, ListingPrice
from app.moderation.models import BannedPicture, GoodReport, ModerationTotal, PictureFingerprint
from app.money.models import GatewayNotification, Payment, Refund, RefusedNotifications
from app.notifications.models import Notification
from app.orders.models import Dispute, EvidencePicture, Order, OrderEventRecord, RefundRequest, Waybill
from app.outbox.models import OutboxMessage
from app.periodic.models import PeriodicJob
from app.profiles.models import Avatar
from app.recovery.models import OneTimeCode, RecoveryChannel
from app.saved_searches.models import SavedSearch, SavedSearchHit
from app.search.postgres.models import SearchDocument, SearchState, SearchWord
from app.sellers.models import SellerStanding
from app.staff.models import SecondFactor, StaffAction, StaffSession
from app.suggestions.models import QueryCount, SearchedQuery
from app.wallet.models import Payout

__all__ = [
    "Address",
    "Appeal",
    "Avatar",
    "BannedPicture",
    "CrawlRun",
    "Dispute",
    "ErasableText",
    "EvidencePicture",
    "GatewayNotification",
    "Good",
    "GoodReport",
    "GoodRevision",
    "IdempotencyKey",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "Listing",
    "ListingPrice",
    "LoginSession",
    "ModerationTotal",
    "Notification",
    "OneTimeCode",
    "Order",
    "OrderEventRecord",
    "OutboxMessage",
    "Payment",
    "Payout",
    "PeriodicJob",
    "Picture",
    "PictureFingerprint",
    "PictureUsage",
    "QueryCount",
    "RecoveryChannel",
    "Refund",
    "RefundRequest",
    "RefusedNotifications",
    "ReviewCase",
    "SavedSearch",
    "SavedSearchHit",
    "SearchDocument",
    "SearchState",
    "SearchWord",
    "SearchedQuery",
    "SecondFactor",
    "SellerStanding",
    "StaffAction",
    "StaffRead",
    "StaffSession",
    "User",
    "Verdict",
    "Waybill",
]
