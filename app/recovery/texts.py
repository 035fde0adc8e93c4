"""What users read in the messages that carry codes."""

from collections.abc import Mapping
from typing import Final

from app.recovery.models import Purpose

MESSAGE_TEXT: Final[Mapping[Purpose, tuple[str, str]]] = {
    Purpose.VERIFY: ("验证您的找回方式", "验证码 {code},{minutes} 分钟内有效,用于绑定找回方式。如非本人操作请忽略。"),
    Purpose.RESET: (
        "重置您的密码",
        "验证码 {code},{minutes} 分钟内有效,用于重置密码。客服不会向您索要验证码,如非本人操作请忽略。",
    ),
}
"""Subject and text by purpose."""
