"""Thunderbird without a screen: a prepared profile, told what its user clicks by remote control."""

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.mail_programs.marionette import Marionette
from tests.support.mail_programs.program import FLAGGED, SEEN, Mailbox, Shown

START_SECONDS = 120.0
PUSH_SECONDS = 60
PREFERENCES = """
user_pref("app.update.auto", false);
user_pref("app.donation.eoy.version.viewed", 999);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("mail.chat.enabled", false);
user_pref("mail.provider.enabled", false);
user_pref("mail.rights.version", 1);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.spotlight.enable", false);
user_pref("mail.winsearch.enable", false);
user_pref("mailnews.start_page.enabled", false);
user_pref("mailnews.auto_config.guess.enabled", false);
user_pref("marionette.port", 0);
user_pref("network.dns.disabled", true);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.identity.id1.fullName", "A Customer");
user_pref("mail.identity.id1.useremail", {address});
user_pref("mail.identity.id1.valid", true);
user_pref("mail.server.server1.check_new_mail", false);
user_pref("mail.server.server1.hostname", {host});
user_pref("mail.server.server1.login_at_startup", false);
user_pref("mail.server.server1.name", "um");
user_pref("mail.server.server1.offline_download", true);
user_pref("mail.server.server1.port", {port});
user_pref("mail.server.server1.socketType", 3);
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server1.userName", {user});
"""
PREPARE = """
const [password, authority] = arguments_;
const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
database.addCertFromBase64(authority, "CT,,");
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
MailServices.accounts.accounts[0].incomingServer.password = password;
"""
COMMON = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const server = MailServices.accounts.accounts[0].incomingServer;
const heard = begin => new Promise((resolve, reject) => begin({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) {
    status ? reject(new Error(`status ${status.toString(16)}`)) : resolve();
  },
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
  onStopCopy(status) { status ? reject(new Error(`status ${status.toString(16)}`)) : resolve(); },
}));
const folders = async () => {
  let inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  if (!inbox || !inbox.canFileMessages) {
    server.performExpand(null);
    for (let i = 0; i < 300 && !(inbox = server.rootFolder.getFolderWithFlags(
        Ci.nsMsgFolderFlags.Inbox)); i++) {
      await new Promise(go => Services.tm.dispatchToMainThread(go));
    }
  }
  return inbox;
};
const named = subject => [...inbox.messages].find(
  each => each.mime2DecodedSubject == subject && !(each.flags & Ci.nsMsgMessageFlags.IMAPDeleted));
const inbox = await folders();
"""
SYNC = """
const { MsgHdrToMimeMessage } = ChromeUtils.importESModule(
  "resource:///modules/gloda/MimeMessage.sys.mjs");
await heard(listener => inbox.getNewMessages(null, listener));
await heard(listener => inbox.QueryInterface(Ci.nsIMsgImapMailFolder)
  && inbox.updateFolderWithListener(null, listener));
const list = [];
for (const header of inbox.messages) {
  if (header.flags & Ci.nsMsgMessageFlags.IMAPDeleted) { continue; }
  const attachments = await new Promise(resolve => MsgHdrToMimeMessage(
    header, null, (_, mime) => resolve(mime.allUserAttachments.map(each => each.name)), true));
  list.push([header.mime2DecodedSubject, header.isRead, header.isFlagged, attachments]);
}
return list;
"""
WAIT = """
const [messages, seconds] = arguments_;
const deadline = Date.now() + 1000 * seconds;
while ([...inbox.messages].length < messages) {
  if (Date.now() > deadline) { throw new Error(`${[...inbox.messages].length} messages`); }
  await new Promise(go => setTimeout(go, 50));
}
"""
MARK = """
const [subject, flag] = arguments_;
if (flag == "\\\\Seen") { inbox.markMessagesRead([named(subject)], true); }
else { inbox.markMessagesFlagged([named(subject)], true); }
"""
DELETE = """
const [subject] = arguments_;
await heard(listener => inbox.deleteMessages(
  [named(subject)], null, false, true, listener, false));
"""


class Thunderbird:
    """Debian's Thunderbird with one IMAP account. What is deleted goes into Trash."""

    def __init__(self, mailbox: Mailbox) -> None:
        if shutil.which("thunderbird") is None:
            raise FileNotFoundError("thunderbird is missing: bin/setup test installs it")
        self._mailbox = mailbox
        self._profile = mailbox.folder / "profile"

    def __enter__(self) -> Self:
        mailbox, profile = self._mailbox, self._profile
        profile.mkdir(parents=True)
        written = PREFERENCES.format(
            host=json.dumps("127.0.0.1"),
            port=mailbox.port,
            user=json.dumps(mailbox.user),
            address=json.dumps(f"{mailbox.user}@um.example.net"),
        )
        (profile / "user.js").write_text(written)
        with (mailbox.folder / "thunderbird.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "thunderbird",
                    *("--headless", "--no-remote", "--profile", profile),
                    *("--marionette", "--remote-allow-system-access"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(mailbox.folder),
                start_new_session=True,
            )
        try:
            self._control = Marionette(self._port())
            lines = mailbox.authority.read_text().splitlines()
            self._control.run(PREPARE, mailbox.password, "".join(lines[1:-1]))
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def sync(self) -> Mapping[str, Shown]:
        rows = self._control.run(COMMON + SYNC)
        return {
            subject: Shown(
                frozenset(flag for flag, is_set in ((SEEN, is_read), (FLAGGED, starred)) if is_set),
                tuple(names),
            )
            for subject, is_read, starred, names in rows
        }

    def wait_for(self, messages: int) -> None:
        """Until INBOX shows so many, without asking the server: it is told while it idles."""
        self._control.run(COMMON + WAIT, messages, PUSH_SECONDS)

    def mark(self, subject: str, flag: str) -> None:
        self._control.run(COMMON + MARK, subject, flag)

    def delete(self, subject: str) -> None:
        self._control.run(COMMON + DELETE, subject)

    def _port(self) -> int:
        """Where it listens for its remote control: it writes it down when it does."""
        file = self._profile / "MarionetteActivePort"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"thunderbird ended with {self._process.returncode}")
            if file.exists() and (text := file.read_text().strip()):
                return int(text)
            time.sleep(0.1)
        raise TimeoutError(f"thunderbird did not start in {START_SECONDS:g} s")


def _environment(folder: Path) -> dict[str, str]:
    """A home of its own, no screen, no session bus."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "MOZ_HEADLESS": "1",
        "MOZ_CRASHREPORTER_DISABLE": "1",
    }
