"""E-mail."""

from maysend import ChannelType, Lower, Matches, Strip, hookimpl


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Stripped, A to Z lowered, exactly one ``@`` with something on both sides and no blanks."""
    part = "[^@ \t\n\v\f\r]+"
    address = (Strip(), Lower(), Matches(f"{part}@{part}"))
    return [ChannelType(name="email", title="E-mail", address=address, one_click=True)]
