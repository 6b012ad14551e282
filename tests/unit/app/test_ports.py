"""The ports of one process over its data folder."""

import asyncio

from um.app.ports import opened_ports
from um.config import parse


def test_a_command_leaves_nothing_in_the_spool(tmp_path):
    """Each process has a spool folder of its own; an empty one goes when the process ends."""
    config = parse({}, tmp_path)

    async def command():
        async with opened_ports(config) as ports:
            assert ports.spool.folder.is_dir()

    for _ in range(2):
        asyncio.run(command())
    assert list((config.server.data_dir / "spool").iterdir()) == []


def test_what_a_process_could_not_deliver_outlives_it(tmp_path):
    """An entry that is still in the spool at the end is there for the next process."""
    config = parse({}, tmp_path)

    async def first():
        async with opened_ports(config) as ports:
            return (await ports.spool.open({"kind": "voice", "account": "a"})).id

    async def second():
        async with opened_ports(config) as ports:
            return [entry.id for entry in await ports.spool.abandoned()]

    left = asyncio.run(first())
    assert asyncio.run(second()) == [left]
