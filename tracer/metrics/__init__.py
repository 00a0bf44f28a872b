"""Metrics of every call, through OpenTelemetry's metrics SDK. Loaded by the pipeline's worker, only where there is somewhere to go."""
