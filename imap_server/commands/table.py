"""Which function carries out which command."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from imap_server.commands import (
    any_state,
    authentication,
    fetch,
    idle,
    listing,
    mailbox,
    message,
    metadata,
    notify,
    quota,
    search,
    sort,
)
from imap_server.context import Context, Reply
from imap_server.wire import commands as c

Run = Callable[[Context, Any], Awaitable[Reply]]

COMMANDS: Mapping[type[c.Command], Run] = {
    c.Capability: any_state.capability,
    c.Noop: any_state.noop,
    c.Logout: any_state.logout,
    c.Id: any_state.identify,
    c.Enable: any_state.enable,
    c.Authenticate: authentication.authenticate,
    c.Login: authentication.login,
    c.Select: mailbox.select,
    c.Create: mailbox.create,
    c.Delete: mailbox.delete,
    c.Rename: mailbox.rename,
    c.Subscribe: mailbox.subscribe,
    c.Status: mailbox.status,
    c.List: listing.list_,
    c.Lsub: listing.lsub,
    c.Namespace: listing.namespace,
    c.GetQuota: quota.get_quota,
    c.GetQuotaRoot: quota.get_quota_root,
    c.GetMetadata: metadata.get_metadata,
    c.SetMetadata: metadata.set_metadata,
    c.Notify: notify.notify,
    c.Idle: idle.idle,
    c.Check: message.check,
    c.Close: message.close,
    c.Expunge: message.expunge,
    c.Store: message.store,
    c.Copy: message.copy,
    c.Search: search.search,
    c.Sort: sort.sort,
    c.Thread: sort.thread,
    c.UnknownCharset: search.unknown_charset,
    c.Fetch: fetch.fetch,
}
"""STARTTLS, COMPRESS and APPEND have their own way: see `session`."""
