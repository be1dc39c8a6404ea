"""The plugins that come with maysend, registered as a third party would register its own."""
