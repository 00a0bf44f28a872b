"""The application's own OpenTelemetry: where it has a tracer provider, our calls are spans of that provider."""
