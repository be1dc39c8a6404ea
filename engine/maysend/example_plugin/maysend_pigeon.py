"""Pigeon for maysend."""

from maysend import ChannelType, Lower, Matches, Meaning, Strip, hookimpl

KEYWORDS: dict[str, Meaning] = {"STOP": "unsubscribed", "START": "subscribed", "HELP": "help"}


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Opt-in: somebody who never answered gets nothing. Addresses are one word, in lower case."""
    address = (Strip(), Lower(), Matches("[^ \t\n]+"))
    return [ChannelType(name="pigeon", title="Pigeon", address=address, default="unsubscribed", keywords=KEYWORDS)]
