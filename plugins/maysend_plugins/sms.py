"""Text messages."""

from maysend import ChannelType, Matches, Prefix, Remove, Strip, hookimpl


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Phone numbers in E.164 (ITU-T, 2010): ``+``, then 7 to 15 digits that do not start with 0."""
    number = (Strip(), Remove(" \t\u00a0-().·/"), Prefix("00", "+"), Matches("[+][1-9][0-9]{6,14}"))
    return [ChannelType(name="sms", title="Text message", address=number)]
