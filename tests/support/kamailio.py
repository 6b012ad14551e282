"""A real Kamailio 6 in front of um, by docs/telephony/kamailio, on a loopback port of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.chroot import Peer, recipe
from tests.support.ports import LOOPBACK, free_port
from tests.support.server import Address


class Kamailio(Peer):
    """One running Kamailio; a context manager.

    Args:
        folder: for its configuration and what it says.
        um: where um takes calls; replaces 127.0.0.1:5070 in the recipe.
        http: where um answers the core; replaces 127.0.0.1:8080.
        changes: more replacements in the recipe, each of which must be found.
        port: where it takes SIP; 0: anywhere.
    """

    def __init__(
        self,
        folder: Path,
        *,
        um: Address,
        http: Address,
        changes: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(folder, "kamailio")
        self.sip = Address(LOOPBACK, port or free_port())
        self._changes = {
            "127.0.0.1:5070": f"{um.host}:{um.port}",
            "127.0.0.1:8080": f"{http.host}:{http.port}",
            "127.0.0.1:5060": f"{self.sip.host}:{self.sip.port}",
            **(changes or {}),
        }

    def __enter__(self) -> Self:
        for name, text in recipe("kamailio", self._changes).items():
            (self.folder / name).write_text(text)
        file = str(self.folder / "kamailio.cfg")
        # One process in front (-DD), little memory, its sockets in our folder.
        self.launch(
            "kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-f", file, "-Y", str(self.folder)
        )
        self.wait_said("ready", seconds=30)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
