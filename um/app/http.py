"""The web role: the plain port for machines of the house, and the public one over TLS."""

import ssl
from pathlib import Path

from um.app.edges import Bound
from um.app.ports import Ports
from um.app.services import Services
from um.config import Config, ConfigurationError, contains
from um.web.core import core_router
from um.web.forwarded import forwarded_routes
from um.web.health import Check, database_answers, folder_is_writable, has_free_space
from um.web.metrics import PrometheusMetrics
from um.web.plain import plain_app
from um.web.public import public_app
from um.web.server import HttpServer

LEAST_TOKEN_CHARACTERS = 16


class WebEdge:
    """[web] `listen` and `listen_tls`. Raises ConfigurationError for a token file that cannot serve."""

    def __init__(self, services: Services, metrics: PrometheusMetrics, tls: ssl.SSLContext) -> None:
        ports = services.ports
        config = ports.config.web
        app = plain_app(
            health_checks(ports),
            metrics,
            lambda host: contains(config.trusted_clients, host),
            core=core_router(services.core_desk),
            core_token=read_token(config.core_token_file),
        )
        self._plain = [HttpServer(app, address) for address in config.listen]
        public = public_app(forwarded_routes(services.forward.links, services.forward.book))
        self._public = [HttpServer(public, address, tls=tls) for address in config.listen_tls]

    async def start(self) -> Bound:
        """Listen. Raises OSError if an address is taken."""
        plain = [str(await server.start()) for server in self._plain]
        public = [str(await server.start()) for server in self._public]
        return {"http": plain, "https": public}

    async def stop(self) -> None:
        """Finish requests in progress."""
        for server in (*self._public, *self._plain):
            await server.stop()


def health_checks(ports: Ports) -> dict[str, Check]:
    """What /healthz looks at."""
    folder = _spool_folder(ports.config)
    return {
        "database": database_answers(ports.store),
        "spool": folder_is_writable(folder),
        "disk": has_free_space(ports.config.server.data_dir),
    }


def read_token(file: Path | None) -> str | None:
    """The core's bearer token: the file's one line. Raises ConfigurationError, never showing it."""
    if file is None:
        return None
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not ASCII text"
        raise ConfigurationError(f"web.core_token_file: {file}: {reason}") from error
    if len(token) < LEAST_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"web.core_token_file: {file}: one line of at least {LEAST_TOKEN_CHARACTERS} characters"
        )
    return token


def _spool_folder(config: Config) -> Path:
    return config.server.data_dir / "spool"
