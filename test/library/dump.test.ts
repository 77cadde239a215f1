import { expect, test } from 'vitest';
import { structJson } from '../../src/answers/struct/render.js';
import type { KernelDoubt } from '../../src/kernel/kernel.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNative } from '../../src/kernel/native/open.js';
import { Dump } from '../../src/library/dump.js';
import { openDump } from '../../src/library/index.js';
import { fixture, incident } from '../support/fixtures.js';

const { vmcore } = fixture('6.1');

test('reports for every query that a dump is closed', () => {
  const dump = openDump(vmcore);
  const { kernel } = dump;
  expect(kernel.facts.release).toMatch(/^6\.1\./);
  dump.close();
  dump.close();
  for (const ask of [() => dump.sockets(), () => dump.log(), () => dump.kernel])
    expect(ask).toThrow(expect.objectContaining({ name: 'KernelError', code: 'closed' }));
});

test('refuses a file name with a zero byte', () => {
  expect(() => openDump(`${vmcore}\0`)).toThrow(expect.objectContaining({ code: 'no-such-file' }));
});

test.each([
  ['an address', { addresses: [1n] }],
  ['a cache', { cache: 'task_struct' }],
  ['a category', { category: 'unattributed' as const }],
])('refuses references to %s in an extract, which lacks most memory', async (_, targets) => {
  using dump = openDump(vmcore);
  await expect(dump.refs(targets)).rejects.toThrow(
    expect.objectContaining({ name: 'KernelError', message: expect.stringMatching(/extract/) }),
  );
});

/** A kernel whose types come from a file. */
function doubted(kernel: NativeKernel, code: KernelDoubt['code']): NativeKernel {
  return new Proxy(kernel, {
    get(target, name) {
      if (name === 'doubts') return [{ code, message: 'of a file' }] satisfies KernelDoubt[];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

type Answer = { readonly warnings?: readonly { code: string }[] | undefined; readonly complete?: boolean };

/** Every query, and whether its answer is complete. */
function answers(dump: Dump): Record<string, readonly [Answer, boolean | undefined]> {
  const { memory, procs, log, stacks, triage } = {
    memory: dump.memory(),
    procs: dump.procs(),
    log: dump.log(),
    stacks: dump.stacks(),
    triage: dump.triage(),
  };
  const sockets = dump.sockets();
  const each = dump.eachSocket();
  let end = each.next();
  while (!end.done) end = each.next();
  const [first] = sockets.sockets;
  const { pid, fd } = first!.holders[0]!;
  const skb = dump.skb({ pid, fd });
  const sock = dump.skb({ sock: BigInt(first!.socket.sock) });
  const process = dump.skbsOf(pid);
  return {
    ...Object.fromEntries(
      Object.entries({ memory, procs, log, stacks, triage }).map(([name, one]) => [name, [one, one.complete]]),
    ),
    sockets: [sockets, sockets.totals.complete],
    'sockets-end': [end.value, end.value.totals.complete],
    skb: [skb, skb.total.complete],
    sock: [sock, sock.total.complete],
    process: [process, process.total.complete],
    struct: [structJson(dump.kernel, []), undefined],
  };
}

test('warns in every answer about doubtful types from a file', () => {
  const kernel = openNative({ files: [incident().vmcore] });
  const plain = answers(new Dump(kernel));
  const unverified = answers(new Dump(doubted(kernel, 'types-not-verified')));
  const incomplete = answers(new Dump(doubted(kernel, 'types-incomplete')));
  const codes = ({ warnings }: Answer) => (warnings ?? []).map(({ code }) => code);
  for (const [name, [answer, complete]] of Object.entries(plain)) {
    expect([name, codes(answer)]).toEqual([name, []]);
    expect([name, codes(unverified[name]![0])]).toEqual([name, ['types-not-verified']]);
    expect([name, unverified[name]![1]]).toEqual([name, complete]);
    expect([name, codes(incomplete[name]![0])[0]]).toEqual([name, 'types-incomplete']);
    expect([name, incomplete[name]![1]]).toEqual([name, complete && false]);
  }
  kernel.close();
});
