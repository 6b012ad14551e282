// A mail program over imapflow: a line of JSON in for each thing its user wants, a line of JSON out.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';

const [packages, host, port, user, authority] = process.argv.slice(2);
const { ImapFlow } = createRequire(`${packages}/package.json`)('imapflow');
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value ?? 'null');
const client = new ImapFlow({
    host, port: Number(port), secure: true, logger: false, qresync: true,
    auth: { user, pass: await read() },
    tls: { ca: readFileSync(authority) },
});
const uids = new Map();

function attachments(part) {
    const own = part.dispositionParameters?.filename ?? part.parameters?.name;
    return [...(own ? [own] : []), ...(part.childNodes ?? []).flatMap(attachments)];
}

const verbs = {
    async sync() {
        await client.noop();
        const shown = [];
        for await (const message of client.fetch('1:*', {
            uid: true, flags: true, envelope: true, bodyStructure: true,
        })) {
            uids.set(message.envelope.subject, message.uid);
            shown.push([message.envelope.subject, [...message.flags], attachments(message.bodyStructure)]);
        }
        return shown;
    },
    async waitFor(messages) {
        client.idle().catch(() => {}); // now, and not after the quarter of a minute that it waits by itself
        while (client.mailbox.exists < messages) {
            await new Promise(told => client.once('exists', told));
        }
    },
    mark: (subject, flag) => client.messageFlagsAdd(uids.get(subject), [flag], { uid: true }),
    async delete(subject) { await client.messageMove(uids.get(subject), 'Trash', { uid: true }); },
};

await client.connect();
await client.mailboxOpen('INBOX');
console.log(JSON.stringify({ value: [...client.enabled] }));
for (let wish; (wish = await read());) {
    const [verb, ...rest] = wish;
    try {
        const value = await verbs[verb](...rest);
        console.log(JSON.stringify({ value }));
    } catch (error) {
        console.log(JSON.stringify({ error: `${error.stack} ${error.responseText ?? ''}` }));
    }
}
await client.logout();
