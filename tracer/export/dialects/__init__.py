"""The same facts under further names, for backends that do not read OpenTelemetry's GenAI conventions in full."""
