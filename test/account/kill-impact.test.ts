import { describe, expect, test } from 'vitest';
import type { Holdings } from '../../src/account/holdings.js';
import { KillImpact } from '../../src/account/kill-impact.js';
import { Tally } from '../../src/account/tally.js';
import type { CountedSocket } from '../../src/walk/sockets/found-sockets.js';
import { Warnings } from '../../src/walk/warnings.js';

const PAGE = 4096;
const newTally = () => new Tally(PAGE, new Warnings());

/** The properties of a socket that decide who keeps it. */
interface Spec {
  readonly sock: bigint;
  /** Processes that have it open, one descriptor each. */
  readonly pids?: readonly number[];
  /** References to its file; by default as many as the holders account for. */
  readonly references?: number;
  readonly carriedBy?: readonly bigint[];
  readonly acceptedFrom?: bigint;
  readonly subflowOf?: bigint;
  readonly rings?: CountedSocket['registeredWith'];
  /** The ends of a connection, and unread bytes. */
  readonly ends?: readonly [local: string, peer: string];
  readonly unread?: number;
}

function socketOf(spec: Spec): CountedSocket {
  const { sock, pids = [], carriedBy = [], rings = [] } = spec;
  return {
    sock,
    file: 1n,
    inode: Number(sock),
    foundBy: [],
    mappedBy: [],
    fileReferences: spec.references ?? pids.length + carriedBy.length + rings.length,
    holders: pids.map((pid) => ({ task: { pid }, fd: 3 })) as never,
    acceptedFrom: spec.acceptedFrom,
    subflowOf: spec.subflowOf,
    carriedBy,
    registeredWith: rings,
  };
}

function heldOf({ ends, unread = 0 }: Spec, all: Tally, atClose = all): Holdings {
  if (!ends) return { all, atClose };
  const [local, peer] = ends;
  const connection = { netns: 1, local, peer, sending: undefined, resets: unread > 0 };
  return { all, atClose, connection };
}

/** Each socket holds one page of its own: sock 1 the first, sock 2 the second, … */
function kill(pid: number, ...specs: readonly Spec[]): { low: number; high: number } {
  return freedOf(new KillImpact(newTally), pid, specs);
}

function freedOf(impact: KillImpact, pid: number, specs: readonly Spec[]) {
  for (const spec of specs) {
    const all = newTally();
    all.page(Number(spec.sock), 0, 1, undefined);
    impact.add(socketOf(spec), heldOf(spec, all));
  }
  const { low, high } = impact.freed(pid);
  return { low: low / PAGE, high: (high ?? Number.NaN) / PAGE };
}

const ring = (pid: number, fileReferences: number): CountedSocket['registeredWith'][number] => ({
  holders: [{ task: { pid, comm: 'x' }, fd: 5 }] as never,
  mappedBy: [],
  fileReferences,
  sock: undefined,
});

describe('a kill frees, in pages,', () => {
  test('sockets that only the process has open, at any number of descriptors', () => {
    expect(kill(7, { sock: 1n, pids: [7] }, { sock: 2n, pids: [7, 7] })).toEqual({ low: 2, high: 2 });
    expect(kill(7, { sock: 1n, pids: [7, 8] })).toEqual({ low: 0, high: 0 });
    expect(kill(9, { sock: 1n, pids: [7] })).toEqual({ low: 0, high: 0 });
  });

  test('sockets that only processes of its group have open, if the group is killed', () => {
    const group = (pid: number) => (pid < 10 ? -1 : pid);
    const killGroup = (...specs: readonly Spec[]) => freedOf(new KillImpact(newTally, group), 7, specs);
    const shared = { sock: 1n, pids: [7, 8] };
    expect(killGroup(shared, { sock: 2n, pids: [9] })).toEqual({ low: 2, high: 2 });
    expect(killGroup({ sock: 1n, pids: [7, 8, 12] })).toEqual({ low: 0, high: 0 });
    expect(killGroup(shared, { sock: 2n, references: 0, acceptedFrom: 1n })).toEqual({ low: 2, high: 2 });
    const ringed = { sock: 2n, rings: [ring(9, 1)] };
    expect(killGroup(shared, ringed)).toEqual({ low: 2, high: 2 });
    expect(killGroup(shared, { ...ringed, rings: [ring(12, 1)] })).toEqual({ low: 1, high: 1 });
  });

  test('at most one with a reference of unknown origin, such as from a running system call', () => {
    expect(kill(7, { sock: 1n, pids: [7], references: 2 })).toEqual({ low: 0, high: 1 });
  });

  test('connections pending at a listener and subflows of a connection, with their parent', () => {
    const child = { sock: 2n, references: 0, acceptedFrom: 1n };
    expect(kill(7, { sock: 1n, pids: [7] }, child)).toEqual({ low: 2, high: 2 });
    expect(kill(7, { sock: 1n, pids: [7, 8] }, child)).toEqual({ low: 0, high: 0 });
    const subflow = { sock: 2n, references: 0, subflowOf: 1n };
    expect(kill(7, subflow, { sock: 1n, pids: [7] })).toEqual({ low: 2, high: 2 });
  });

  test('sockets in its messages, at any depth, unless another process keeps them too', () => {
    const carrier = { sock: 1n, pids: [7] };
    const inner = { sock: 2n, carriedBy: [1n] };
    const innermost = { sock: 3n, carriedBy: [2n] };
    expect(kill(7, innermost, inner, carrier)).toEqual({ low: 3, high: 3 });
    expect(kill(7, carrier, inner, { ...innermost, pids: [8] })).toEqual({ low: 2, high: 2 });
    expect(kill(7, carrier, inner, { ...innermost, carriedBy: [2n, 9n] })).toEqual({ low: 2, high: 2 });
    expect(kill(7, carrier, { ...inner, references: 2 }, innermost)).toEqual({ low: 1, high: 3 });
    expect(kill(7, { ...carrier, pids: [7, 8] }, inner)).toEqual({ low: 0, high: 0 });
  });

  test('sockets in their own messages, and in those of each other', () => {
    expect(kill(7, { sock: 1n, pids: [7], carriedBy: [1n] })).toEqual({ low: 1, high: 1 });
    const one = { sock: 1n, pids: [7], carriedBy: [2n] };
    const other = { sock: 2n, carriedBy: [1n] };
    expect(kill(7, one, other)).toEqual({ low: 2, high: 2 });
    expect(kill(7, one, { ...other, pids: [8] })).toEqual({ low: 0, high: 0 });
    // A message that the census did not reach.
    expect(kill(7, { ...one, references: 3 }, other)).toEqual({ low: 0, high: 2 });
  });

  test('sockets registered with its io_uring rings; at most, if a ring is mapped', () => {
    const registered = (...rings: readonly CountedSocket['registeredWith'][number][]) => ({ sock: 1n, rings });
    expect(kill(7, registered(ring(7, 1)))).toEqual({ low: 1, high: 1 });
    expect(kill(7, registered(ring(7, 2)))).toEqual({ low: 0, high: 1 });
    expect(kill(7, registered(ring(7, 1), ring(8, 1)))).toEqual({ low: 0, high: 0 });
    expect(kill(8, registered(ring(7, 1)))).toEqual({ low: 0, high: 0 });
  });

  test('all of a connection that a peer with unread data resets, otherwise what its close frees', () => {
    const lingering = (peer: Partial<Spec>) => {
      const impact = new KillImpact(newTally);
      const all = newTally();
      all.page(1, 0, 1, undefined);
      all.page(2, 0, 1, undefined);
      const atClose = newTally();
      atClose.page(1, 0, 1, undefined);
      const one: Spec = { sock: 1n, pids: [7], ends: ['a', 'b'] };
      impact.add(socketOf(one), heldOf(one, all, atClose));
      const nothing = newTally();
      const other: Spec = { sock: 2n, pids: [7], ends: ['b', 'a'], unread: 5, ...peer };
      impact.add(socketOf(other), heldOf(other, nothing));
      return impact.freed(7).low / PAGE;
    };
    expect(lingering({})).toBe(2);
    expect(lingering({ unread: 0 })).toBe(1);
    expect(lingering({ pids: [8] })).toBe(1);
    expect(lingering({ ends: ['c', 'a'] })).toBe(1);
  });
});
