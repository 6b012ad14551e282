"""A client of Marionette, the remote control inside programs of Mozilla: JSON over one socket.

Each packet is `LENGTH:JSON`; a command is `[0, id, name, parameters]`, its answer
`[1, id, error, result]`.
"""

import json
import socket
from typing import Any

ANSWER_SECONDS = 90.0


class MarionetteError(RuntimeError):
    """The program answered with an error."""


class Marionette:
    """One session in the context of the program itself (`chrome`), not of a page."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self._file = self._socket.makefile("rb")
        self._commands = 0
        self._read()  # the greeting
        self.command("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {}}})
        self.command("Marionette:SetContext", {"value": "chrome"})
        self.command("WebDriver:SetTimeouts", {"script": int(ANSWER_SECONDS * 1000)})

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """What the command gave back. Raises MarionetteError."""
        self._commands += 1
        packet = json.dumps([0, self._commands, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(packet), packet))
        _, number, error, result = self._read()
        assert number == self._commands, "answers come in the order of the commands"
        if error is not None:
            raise MarionetteError(f"{name}: {error.get('error')}: {error.get('message')}")
        return result

    def run(self, script: str, *arguments: object) -> Any:
        """What an async JavaScript function with this body returns for `arguments`."""
        body = (
            "const [done, ...rest] = [arguments[arguments.length - 1], ...arguments];\n"
            f"(async (...arguments_) => {{ {script} }})(...rest.slice(0, -1))\n"
            ".then(value => done({value}), error => done({error: `${error}\\n${error.stack}`}));"
        )
        answer = self.command(
            "WebDriver:ExecuteAsyncScript",
            {"script": body, "args": list(arguments), "sandbox": "system"},
        )["value"]
        if "error" in answer:
            raise MarionetteError(answer["error"])
        return answer.get("value")

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            octet = self._file.read(1)
            if not octet:
                raise MarionetteError("the program has closed the connection")
            length += octet
        return json.loads(self._file.read(int(length[:-1])))
