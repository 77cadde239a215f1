// Part of `scripts/lab oracle DUMP`: what drgn finds in the dump must be what the guest said of
// itself. A lab that disagrees with itself proves nothing.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAB } from './paths.mjs';

const [name = ''] = process.argv.slice(2);
const folder = join(LAB, 'dumps', name);
/** @type {import('../../test/support/lab.js').Truth} */
const truth = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8'));
/** @type {import('../../test/support/lab.js').Oracle} */
const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8'));

/**
 * What the kernel's timers change until the very end: probes of a closed window are dropped, segments
 * that nobody acknowledges are sent again.
 *
 * @type {Record<string, string[]>}
 */
const RESTLESS = { 'stuffed-reader': ['drops'], 'orphan-reader': ['drops'], unacknowledged: ['wmemAlloc', 'fwdAlloc'] };

/** @type {string[]} */
const complaints = [];

/** @param {string} what @param {unknown} guest @param {unknown} drgn */
function same(what, guest, drgn) {
  if (guest === null || JSON.stringify(guest) === JSON.stringify(drgn)) return;
  complaints.push(`${what}: ${JSON.stringify(guest)} in the guest, ${JSON.stringify(drgn)} in drgn`);
}

let sockets = 0;
for (const role of truth.roles) {
  const told = role.socket;
  if (told === undefined) continue;
  sockets++;
  const found = oracle.sockets.find(({ holders }) => holders.some(({ pid, fd }) => pid === role.pid && fd === role.fd));
  if (found === undefined) {
    complaints.push(`${role.name}: drgn does not find the socket`);
    continue;
  }
  const { queues } = found;
  for (const key of /** @type {const} */ (['inode', 'netns', 'local', 'peer'])) {
    if (key === 'peer' || told[key] !== null) same(`${role.name} ${key}`, told[key], found[key]);
  }
  for (const key of /** @type {const} */ (['family', 'type', 'protocol'])) {
    same(`${role.name} ${key}`, told[key], found.numbers[key]);
  }
  for (const key of /** @type {(keyof typeof told.meminfo)[]} */ (Object.keys(told.meminfo))) {
    if (RESTLESS[role.name]?.includes(key)) continue;
    same(`${role.name} meminfo ${key}`, told.meminfo[key], found.meminfo[key]);
  }
  // Datagrams that FIONREAD has looked at wait in the reader queue.
  const waiting = [queues.receive, queues.reader].filter((queue) => queue !== undefined);
  /** @param {'skbs' | 'payloadBytes'} key */
  const sum = (key) => waiting.reduce((total, queue) => total + queue[key], 0);
  same(`${role.name} skbs`, role.skbs, sum('skbs'));
  same(`${role.name} bytes`, role.bytes, sum('payloadBytes'));
  if (told.tcpState !== null) same(`${role.name} unread`, told.unread, sum('payloadBytes'));
  for (const key of /** @type {const} */ (['outOfOrder', 'retransmit', 'error'])) {
    same(`${role.name} ${key} skbs`, role[key].skbs, queues[key]?.skbs);
    same(`${role.name} ${key} bytes`, role[key].bytes, queues[key]?.payloadBytes);
  }
  for (const holder of role.holders) {
    // drgn's list names a thread only where it has descriptors of its own.
    if (holder.pid !== holder.tid) continue;
    const named = found.holders.some(
      ({ pid, fd, comm }) => pid === holder.pid && fd === holder.fd && comm === holder.comm,
    );
    if (!named) complaints.push(`${role.name}: drgn misses the holder ${JSON.stringify(holder)}`);
  }
}

const pages = checkPages();
if (complaints.length > 0) {
  console.error(`lab: ${name} disagrees with itself:\n${complaints.slice(0, 20).join('\n')}`);
  process.exitCode = 1;
} else {
  console.error(`lab: ${name}: drgn and the guest agree on ${sockets} sockets and ${pages} pages`);
}

/** Orders, against the guest's own /proc/kpageflags. @returns {number} pages compared */
function checkPages() {
  const path = join(folder, 'kpageflags');
  if (!existsSync(path)) return 0;
  const flags = readFileSync(path);
  // include/uapi/linux/kernel-page-flags.h: compound head is bit 15, compound tail bit 16.
  const head = (/** @type {number} */ pfn) => ((flags[pfn * 8 + 1] ?? 0) & 0x80) !== 0;
  const tail = (/** @type {number} */ pfn) => ((flags[pfn * 8 + 2] ?? 0) & 0x01) !== 0;
  const seen = new Set();
  for (const socket of oracle.sockets) {
    for (const { pfn, order } of Object.values(socket.pages).flat()) {
      if (seen.has(pfn)) continue;
      seen.add(pfn);
      let count = 1;
      if (head(pfn)) while (tail(pfn + count)) count++;
      same(`pages from frame ${pfn}`, tail(pfn) ? 'a tail' : count, 1 << order);
    }
  }
  return seen.size;
}
