"""Push notifications."""

from maysend import ChannelType, Matches, Strip, hookimpl


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Device tokens are opaque and case-sensitive: one word, nothing changed but blanks around it."""
    return [ChannelType(name="push", title="Push notification", address=(Strip(), Matches("[^ \t\n\v\f\r]+")))]
