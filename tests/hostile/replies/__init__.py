"""The corpus of hostile replies, by topic."""

from tests.hostile.replies import bodiless, framing, heads, unasked
from tests.hostile.reply import Reply

TOPICS: dict[str, list[Reply]] = {
    "framing of replies": framing.REPLIES,
    "heads of replies": heads.REPLIES,
    "replies without a body": bodiless.REPLIES,
    "unasked replies": unasked.REPLIES,
}
