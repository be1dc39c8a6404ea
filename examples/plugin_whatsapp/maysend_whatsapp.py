"""WhatsApp for maysend: nobody gets a message who did not ask for it."""

from maysend import ChannelType, Matches, Prefix, Remove, Strip, hookimpl


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Phone numbers in E.164; somebody who never answered is not subscribed."""
    number = (Strip(), Remove(" -()"), Prefix("00", "+"), Matches("[+][1-9][0-9]{6,14}"))
    return [ChannelType(name="whatsapp", title="WhatsApp", address=number, default="unsubscribed")]
