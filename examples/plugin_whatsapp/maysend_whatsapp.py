"""WhatsApp for maysend: nobody gets a message who did not ask for it."""

from typing import Any

from maysend import ChannelType, Command, Matches, Meaning, Prefix, Remove, Strip, hookimpl

KEYWORDS: dict[str, Meaning] = {
    "STOP": "unsubscribed",
    "UNSUBSCRIBE": "unsubscribed",
    "START": "subscribed",
    "HELP": "help",
}


@hookimpl
def register_channel_types() -> list[ChannelType]:
    """Phone numbers in E.164; somebody who never answered is not subscribed, and replies of one word are answers."""
    number = (Strip(), Remove(" -()"), Prefix("00", "+"), Matches("[+][1-9][0-9]{6,14}"))
    return [
        ChannelType(name="whatsapp", title="WhatsApp", address=number, default="unsubscribed", keywords=KEYWORDS),
    ]


@hookimpl
def register_commands() -> list[Command]:
    """``maysend whatsapp-invitation NUMBER``."""
    return [Command(name="whatsapp-invitation", summary="Print a link by which people opt in.", open=_invitation)]


def _invitation() -> Any:
    import click

    @click.command()
    @click.argument("number")
    def invitation(number: str) -> None:
        """Print the link that opens a chat with the business at NUMBER, in which START is written already."""
        click.echo(f"https://wa.me/{''.join(filter(str.isdigit, number))}?text=START")

    return invitation
