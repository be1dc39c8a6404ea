"""Text messages."""

from maysend import ChannelType, Matches, Meaning, Prefix, Remove, Strip, hookimpl

_KEYWORDS: dict[str, Meaning] = {
    **dict.fromkeys(("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"), "unsubscribed"),
    **dict.fromkeys(("START", "UNSTOP", "YES", "SUBSCRIBE"), "subscribed"),
    **dict.fromkeys(("HELP", "INFO"), "help"),
}
"""What carriers and senders of text messages agree on: CTIA's Messaging Principles (2023), the FCC (2024)."""


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Phone numbers in E.164 (ITU-T, 2010): ``+``, then 7 to 15 digits that do not start with 0."""
    number = (Strip(), Remove(" \t\u00a0-().·/"), Prefix("00", "+"), Matches("[+][1-9][0-9]{6,14}"))
    return [ChannelType(name="sms", title="Text message", address=number, keywords=_KEYWORDS)]
