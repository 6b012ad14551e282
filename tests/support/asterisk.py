"""A real Asterisk 22 as the telephony core: loopback only, on ports of its own, in a test's folder.

What joins it to um is read from docs/telephony/asterisk; only addresses are replaced. What stands
here is the rest of a PBX: transports, modules, callers.

    with Asterisk(tmp_path, um=server.address("sip")) as asterisk:
        asterisk.call("Local/+15551230001@um-customers/n", "speak@callers")
"""

import itertools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support.chroot import Peer, PeerError, inside, recipe, root, tail
from tests.support.ports import LOOPBACK, free_port, free_ports
from tests.support.server import Address

START_SECONDS = 60.0
RTP_PORTS = 200

MODULES = """
    pbx_config pbx_spool res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb
    res_pjproject res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_pjsip_t38 res_pjsip_caller_id
    res_pjsip_dtmf_info res_pjsip_diversion res_pjsip_endpoint_identifier_ip
    res_pjsip_endpoint_identifier_user res_pjsip_authenticator_digest
    res_pjsip_outbound_authenticator_digest res_pjsip_outbound_registration res_pjsip_registrar
    res_pjsip_pubsub res_pjsip_mwi res_pjsip_mwi_body_generator res_pjsip_nat res_pjsip_refer res_pjsip_rfc3326
    res_pjsip_logger res_pjsip_header_funcs chan_pjsip res_rtp_asterisk codec_ulaw codec_alaw
    codec_a_mu codec_gsm format_wav format_gsm format_pcm format_sln bridge_simple
    bridge_native_rtp bridge_softmix bridge_holding res_fax res_fax_spandsp app_dial app_exec app_playback
    app_senddtmf app_stack app_verbose app_record app_voicemail app_mixmonitor func_callerid
    func_channel func_logic func_strings func_global func_timeout func_pjsip_endpoint func_dialplan
    func_uri func_json func_vmcount res_curl func_curl func_db app_db func_env
"""

FILES: Mapping[str, str] = {
    "logger.conf": "[general]\n[logfiles]\nfull => notice,warning,error,verbose,fax\n",
    "rtp.conf": ("[general]\nrtpstart={rtp}\nrtpend={rtp_end}\nstrictrtp=no\nicesupport=no\n"),
    "udptl.conf": "[general]\nudptlstart={udptl}\nudptlend={udptl_end}\nuse_even_ports=no\n",
    "http.conf": "[general]\nenabled=no\n",
    "manager.conf": "[general]\nenabled=no\n",
    "res_fax.conf": "[general]\nmaxrate=14400\nminrate=4800\nmodems=v17,v27,v29\necm=yes\n",
    "indications.conf": (
        "[general]\ncountry=us\n[us]\ndescription=tones\nringcadence=2000,4000\n"
        "dial=350+440\nring=440+480/2000,0/4000\n"
    ),
    "cdr.conf": "[general]\nenable=no\n",
    "cel.conf": "[general]\nenable=no\n",
    "ccss.conf": "[general]\n",
    "features.conf": "[general]\n",
    "acl.conf": "",
    "pjproject.conf": "",
    "voicemail.conf": "[general]\nformat=wav\nmaxsilence=8\nminsecs=1\n[default]\n{boxes}",
    "pjsip.conf": """
[global]
type = global
user_agent = Asterisk
endpoint_identifier_order = header,username,ip
[udp]
type = transport
protocol = udp
bind = {loopback}:{sip}
[phones](!)
type = endpoint
transport = udp
context = from-phones
disallow = all
allow = {codecs}
direct_media = no
{phones}
{pjsip}
#include pjsip_um.conf
""",
    "extensions.conf": """
[general]
[globals]
{globals}
[from-phones]
include => um-customers
include => um-retrieval
{dialplan}
#include extensions_um.conf
""",
}
"""The rest of a PBX. MODULES, asterisk.conf and the recipe's files come to it."""


class Asterisk(Peer):
    """One running Asterisk; a context manager.

    Args:
        folder: for its configuration, spool and logs.
        um: where um takes calls; replaces 127.0.0.1:5070 in the recipe.
        phones: endpoint name (the number) to the port where that phone listens.
        codecs: what the endpoints may speak, as in `allow`.
        http: where um answers the core; replaces 127.0.0.1:8080 in the recipe.
        dialplan: more contexts.
        pjsip: more sections of pjsip.conf.
        boxes: lines of voicemail.conf, for a measurement of Asterisk's own.
        rtp_ports: how many.
        port: where it takes SIP; 0: anywhere.
        changes: more replacements in the recipe's files, each of which must be found.
        goes_first: before other processes, where it sends faxes (`tests.support.priority`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        um: Address,
        http: Address | None = None,
        phones: Mapping[str, int] | None = None,
        codecs: str = "ulaw,alaw",
        dialplan: str = "",
        pjsip: str = "",
        boxes: Sequence[str] = (),
        changes: Mapping[str, str] | None = None,
        rtp_ports: int = RTP_PORTS,
        port: int = 0,
        goes_first: bool = False,
    ) -> None:
        super().__init__(folder, "asterisk", log="log/full", goes_first=goes_first)
        self.sip = Address(LOOPBACK, port or free_port())
        self._calls = itertools.count(1)
        self.rtp_ports, udptl = free_ports(rtp_ports), free_ports(100)
        self._facts = {
            "loopback": LOOPBACK,
            "sip": self.sip.port,
            "rtp": self.rtp_ports[0],
            "rtp_end": self.rtp_ports[-1],
            "udptl": udptl[0],
            "udptl_end": udptl[-1],
            "codecs": codecs,
            "phones": "".join(map(_phone, (phones or {}).items())),
            "globals": "",
            "dialplan": dialplan,
            "pjsip": pjsip,
            "boxes": "".join(f"{box}\n" for box in boxes),
        }
        self._changes = {
            "127.0.0.1:5070": f"{um.host}:{um.port}",
            "allow = ulaw,alaw": f"allow = {codecs}",
            **({"127.0.0.1:8080": f"{http.host}:{http.port}"} if http else {}),
            **(changes or {}),
        }

    def __enter__(self) -> Self:
        self.configure()
        self.launch("asterisk", "-f", "-C", str(self.folder / "asterisk.conf"))
        self.wait_said("Asterisk Ready", seconds=START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def configure(self) -> None:
        """Write every file."""
        for name in ("outgoing", "fax", "tmp", "voicemail", "monitor", "meetme", "system"):
            (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        for name in ("run", "log", "db", "keys"):
            (self.folder / name).mkdir(exist_ok=True)
        loads = "".join(f"load = {module}.so\n" for module in MODULES.split())
        files = {
            "asterisk.conf": _asterisk_conf(self.folder),
            "modules.conf": f"[modules]\nautoload = no\n{loads}",
            **{name: _filled(text, self._facts) for name, text in FILES.items()},
            **recipe("asterisk", self._changes),
        }
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def cli(self, command: str) -> str:
        """What the console answers."""
        configuration = str(self.folder / "asterisk.conf")
        done = subprocess.run(
            inside(self.folder, "asterisk", "-C", configuration, "-rx", command),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise PeerError(f"asterisk: {command}: {done.stdout}{done.stderr}\n{tail(self.said())}")
        return done.stdout

    def call(
        self,
        channel: str,
        extension: str,
        *,
        caller: str = "+15559870001",
        caller_name: str = "Alice Example",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Call `channel` by a call file; when it answers, it runs `extension` (NAME@CONTEXT).

        Returns when Asterisk has taken the file.
        """
        name, _, context = extension.partition("@")
        lines = {
            "Channel": channel,
            "CallerID": f'"{caller_name}" <{caller}>',
            "WaitTime": "60",
            "Context": context,
            "Extension": name,
            "Priority": "1",
        }
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        text += "".join(f"Setvar: {key}={value}\n" for key, value in (variables or {}).items())
        file = self.folder / "spool" / "tmp" / f"{next(self._calls)}.call"
        file.write_text(text)
        # A rename, as Asterisk asks for: it must never see half a file.
        file.rename(self.folder / "spool" / "outgoing" / file.name)


def _asterisk_conf(folder: Path) -> str:
    data = "/usr/share/asterisk"
    (modules,) = root().glob("usr/lib/*/asterisk/modules")
    places = {
        "astetcdir": folder,
        "astmoddir": f"/{modules.relative_to(root())}",
        "astvarlibdir": data,
        "astdbdir": folder / "db",
        "astkeydir": folder / "keys",
        "astdatadir": data,
        "astagidir": f"{data}/agi-bin",
        "astspooldir": folder / "spool",
        "astrundir": folder / "run",
        "astlogdir": folder / "log",
    }
    directories = "".join(f"{name} => {place}\n" for name, place in places.items())
    return f"[directories]\n{directories}[options]\nverbose = 4\ndocumentation_language = en_US\n"


def _phone(place: tuple[str, int]) -> str:
    number, port = place
    return (
        f"[{number}](phones)\naors = {number}\nmailboxes = {number}@um\n"
        f"[{number}]\ntype = aor\ncontact = sip:{number}@{LOOPBACK}:{port}\n"
    )


def _filled(text: str, facts: Mapping[str, object]) -> str:
    for name, value in facts.items():
        text = text.replace("{" + name + "}", str(value))
    return text
