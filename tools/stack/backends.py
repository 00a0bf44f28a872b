"""Jaeger, Tempo and Prometheus, and the collector of `local.yaml` in front of them, wired by the shipped configurations."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from tools.stack.processes import CONFIGS, PROMETHEUS_FLAGS, Running, find, free_port, local, running

PROGRAMS = ("jaeger", "tempo", "prometheus", "otelcol")


@dataclass(slots=True)
class Ports:
    """Where each listens on loopback. The defaults are those of the shipped configurations."""

    otlp_http: int = 4318
    otlp_grpc: int = 4317
    health: int = 13133
    jaeger_health: int = 23133
    jaeger_http: int = 16686
    jaeger_grpc: int = 16685
    jaeger_otlp: int = 14317
    tempo_http: int = 3200
    tempo_internal: int = 9095
    tempo_otlp: int = 24317
    prometheus: int = 9090

    @classmethod
    def free(cls) -> Ports:
        """Ports where nobody listens."""
        return cls(*(free_port() for _ in fields(cls)))


@dataclass(slots=True)
class Stack:
    """All four. URLs without a slash at the end."""

    otlp: str = ""
    otlp_grpc: str = ""
    jaeger: str = ""
    tempo: str = ""
    prometheus: str = ""
    processes: dict[str, Running] = field(default_factory=dict[str, Running])


@contextmanager
def whole_stack(
    folder: Path,
    ports: Ports | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    prometheus_config: Path = CONFIGS / "prometheus.yaml",
    collector: Sequence[Path] = (CONFIGS / "local.yaml",),
) -> Generator[Stack, None, None]:
    """Start the four, the backends first; everything they write goes below `folder`. Raises `MissingProgramError`."""
    for name in PROGRAMS:
        find(name)
    ports = ports or Ports.free()
    stack = Stack(
        otlp=f"http://{local(ports.otlp_http)}",
        otlp_grpc=local(ports.otlp_grpc),
        jaeger=f"http://{local(ports.jaeger_http)}",
        tempo=f"http://{local(ports.tempo_http)}",
        prometheus=f"http://{local(ports.prometheus)}",
    )
    more = environment or {}
    with ExitStack() as stopping:
        start = stopping.enter_context
        stack.processes["jaeger"] = start(jaeger(folder, ports, more))
        stack.processes["tempo"] = start(tempo(folder, ports, more))
        stack.processes["prometheus"] = start(prometheus(folder, ports.prometheus, config=prometheus_config))
        stack.processes["otelcol"] = start(
            running(
                "otelcol",
                [argument for file in collector for argument in ("--config", str(file))],
                folder,
                f"http://{local(ports.health)}",
                {
                    "OTLP_HTTP_ADDRESS": local(ports.otlp_http),
                    "OTLP_GRPC_ADDRESS": local(ports.otlp_grpc),
                    "HEALTH_ADDRESS": local(ports.health),
                    "JAEGER_ADDRESS": local(ports.jaeger_otlp),
                    "TEMPO_ADDRESS": local(ports.tempo_otlp),
                    "PROMETHEUS_URL": stack.prometheus,
                    **more,
                },
            )
        )
        yield stack


def jaeger(
    folder: Path, ports: Ports, environment: Mapping[str, str] | None = None, config: Path = CONFIGS / "jaeger.yaml"
) -> AbstractContextManager[Running]:
    """Jaeger by its shipped configuration."""
    addresses = {
        "JAEGER_HEALTH_ADDRESS": local(ports.jaeger_health),
        "JAEGER_HTTP_ADDRESS": local(ports.jaeger_http),
        "JAEGER_GRPC_ADDRESS": local(ports.jaeger_grpc),
        "JAEGER_OTLP_ADDRESS": local(ports.jaeger_otlp),
    }
    ready = f"http://{local(ports.jaeger_health)}/status"
    return running("jaeger", ["--config", str(config)], folder, ready, {**addresses, **(environment or {})})


def tempo(
    folder: Path, ports: Ports, environment: Mapping[str, str] | None = None, config: Path = CONFIGS / "tempo.yaml"
) -> AbstractContextManager[Running]:
    """Tempo by its shipped configuration."""
    places = {
        "TEMPO_HTTP_PORT": str(ports.tempo_http),
        "TEMPO_INTERNAL_PORT": str(ports.tempo_internal),
        "TEMPO_OTLP_ADDRESS": local(ports.tempo_otlp),
        "TEMPO_DATA": str(folder / "tempo-data"),
    }
    arguments = [f"-config.file={config}", "-config.expand-env=true"]
    return running("tempo", arguments, folder, f"http://{local(ports.tempo_http)}/ready", {**places, **(environment or {})})


def prometheus(
    folder: Path, port: int, *flags: str, config: Path = CONFIGS / "prometheus.yaml", label: str = ""
) -> AbstractContextManager[Running]:
    """Prometheus by its shipped configuration, and more flags."""
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={local(port)}",
        *PROMETHEUS_FLAGS,
        *flags,
    ]
    return running("prometheus", arguments, folder, f"http://{local(port)}/-/ready", label=label)
