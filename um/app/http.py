"""The web role: the plain port with health and metrics."""

from pathlib import Path

from um.app.edges import Bound
from um.app.ports import Ports
from um.config import Config, contains
from um.web.health import Check, database_answers, folder_is_writable, has_free_space
from um.web.metrics import PrometheusMetrics
from um.web.plain import plain_app
from um.web.server import HttpServer


class WebEdge:
    """[web] `listen`."""

    def __init__(self, ports: Ports, metrics: PrometheusMetrics) -> None:
        config = ports.config.web
        app = plain_app(
            health_checks(ports), metrics, lambda host: contains(config.trusted_clients, host)
        )
        self._servers = [HttpServer(app, address) for address in config.listen]

    async def start(self) -> Bound:
        """Listen. Raises OSError if an address is taken."""
        return {"http": [str(await server.start()) for server in self._servers]}

    async def stop(self) -> None:
        """Finish requests in progress."""
        for server in self._servers:
            await server.stop()


def health_checks(ports: Ports) -> dict[str, Check]:
    """What /healthz looks at."""
    folder = _spool_folder(ports.config)
    return {
        "database": database_answers(ports.store),
        "spool": folder_is_writable(folder),
        "disk": has_free_space(ports.config.server.data_dir),
    }


def _spool_folder(config: Config) -> Path:
    return config.server.data_dir / "spool"
