"""Where plans run. A backend maps its types to the portable kinds, and keeps and reads relations."""
