"""As maysend sees it: found by entry point, in a process of its own."""

import json
import subprocess


def test_it_is_loaded_and_brings_the_channel_type() -> None:
    printed = subprocess.run(["maysend", "plugins", "--json"], check=True, capture_output=True, text=True).stdout
    found = {plugin["distribution"]: plugin for plugin in json.loads(printed)["plugins"]}
    assert found["maysend-whatsapp"]["channel_types"] == ["whatsapp"]
    assert found["maysend-whatsapp"]["error"] is None
