import { z } from 'zod';
import type { Item } from '../../../diff/state.js';
import { count, incompleteness, listOf, type Told, warningsPart } from './parts.js';
import { socketKey, twiceWords } from './sockets.js';

export const skcheckAnswer = z.object({
  schema: z.literal('skcheck/1'),
  host: z.object({
    name: z.string(),
    release: z.string(),
    takenAt: z.iso.datetime(),
    takenAtKnown: z.boolean(),
    bootId: z.string().nullish(),
    uptimeSeconds: z.number().nonnegative().nullish(),
  }),
  sockets: listOf(
    z.object({
      pid: count.nullable(),
      comm: z.string().nullable(),
      fds: listOf(count),
      family: z.string(),
      protocol: z.string(),
      local: z.string(),
      peer: z.string(),
      inode: count,
      netns: count.nullable(),
      unreadBytes: count,
      pinned: z.object({ likely: count }),
    }),
  ),
  totals: z.object({
    verdicts: z.record(z.string(), z.unknown()),
    countedBy: z.enum(['row', 'descriptor']),
  }),
  complete: z.boolean(),
  warnings: warningsPart,
});

/** An answer of skcheck: what sockets pin, estimated. */
export function skcheckTold(answer: z.infer<typeof skcheckAnswer>): Told {
  const { host, sockets, complete, warnings } = answer;
  const items = new Map<string, Item>();
  let twice = 0;
  for (const socket of sockets) {
    const { pid, comm, fds, inode, netns, family, protocol, local, peer } = socket;
    const [fd] = fds;
    const key = socketKey(socket, family, local, peer);
    if (items.has(key)) twice++;
    items.set(key, {
      who: {
        ...{ kind: 'socket', inode, netns, family, protocol, local, peer },
        holder: pid === null || fd === undefined ? null : { pid, comm, fd },
      },
      sizes: { estimated: socket.pinned.likely, unread: socket.unreadBytes },
      ofBoot: true,
      began: null,
    });
  }
  return {
    taken: {
      at: host.takenAtKnown ? new Date(host.takenAt) : null,
      ...{
        host: host.name || null,
        bootId: host.bootId ?? null,
        uptime: host.uptimeSeconds ?? null,
      },
    },
    release: host.release || null,
    pageSize: null,
    memory: null,
    lists: { sockets: { items, whole: isWhole(answer) && twice === 0, withoutEmpty: true } },
    flaws: [
      ...incompleteness(complete, warnings, 'not everything was looked at'),
      ...twiceWords(twice),
    ],
  };
}

/** It lists sockets in which something waits; `--top` and verdicts asked for leave out more, `--pid` too. */
function isWhole({ sockets, totals }: z.infer<typeof skcheckAnswer>): boolean {
  const judged = Object.values(totals.verdicts).reduce(
    (all: number, one) => all + count.catch(Number.NaN).parse(one),
    0,
  );
  return totals.countedBy === 'row' && judged === sockets.length;
}
