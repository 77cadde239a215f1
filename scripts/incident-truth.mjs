// What drgn (oracle.json) says of the process in the lab's incident that never reads, and the guest
// (truth.json) of itself, shortly before it stopped: JSON on stdout.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: incident-truth.mjs .lab/dumps/VER-incident');

const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const guest = read('truth.json');
const oracle = read('oracle.json');

const WORKER = 'report-worker';
const own = oracle.sockets.filter(({ holders }) => holders.some(({ comm }) => comm === WORKER));
const pids = new Set(own.flatMap(({ holders }) => holders.map(({ pid }) => pid)));
if (pids.size !== 1) throw new Error(`${WORKER} is ${pids.size} processes`);

// What two of its sockets share is one page.
const pages = new Map(
  own.flatMap((socket) =>
    Object.values(socket.pages ?? {}).flatMap((all) => all.map(({ page, order }) => [page, order])),
  ),
);
const sum = (key) => own.reduce((total, socket) => total + (socket.total?.[key] ?? 0), 0);
const pageBytes = [...pages.values()].reduce((bytes, order) => bytes + 4096 * 2 ** order, 0);
const drgn = {
  pid: [...pids][0],
  comm: WORKER,
  sockets: own.length,
  skbs: sum('skbs'),
  payloadBytes: sum('payloadBytes'),
  pages: pages.size,
  pinnedBytes: pageBytes + sum('slabBytes'),
};
if (drgn.payloadBytes !== guest.unread)
  throw new Error(`${drgn.payloadBytes} bytes wait for drgn, and ${guest.unread} for the guest`);

const [, slabKiB] = /^Slab: +(\d+) kB$/m.exec(guest.meminfo);
const [, tcpPages] = /^TCP: .* mem (\d+)$/m.exec(guest.sockstat);
const counters = { slabBytes: 1024 * Number(slabKiB), tcpMemBytes: 4096 * Number(tcpPages) };
const answer = { release: oracle.release, drgn, ...counters };
process.stdout.write(`${JSON.stringify(answer, null, 1)}\n`);
