import { describe, expect, test } from 'vitest';
import { accountFd, accountProcess } from '../../../src/account/skb.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { skbProcessSchema, skbSchema } from '../../../src/report/schema.js';
import { skbJson, skbProcessJson } from '../../../src/report/skb-json.js';
import { asOracle, fromOracle } from '../../support/expected.js';
import {
  LAB_KERNELS,
  type LabDump,
  type LabKernel,
  labDump,
  labKernel,
  labTool,
  type Role,
} from '../../support/lab.js';

type Format = 'elf' | 'kdumpZlib';

function open(engine: 'native' | 'crash', version: LabKernel, format: Format): Kernel {
  const vmcore = labDump(version)[format];
  return engine === 'native'
    ? openNative({ files: [vmcore] })
    : openCrash({ vmcore, vmlinux: labKernel(version).vmlinux, crash: labTool('crash') });
}

// crash 9.0.2 cannot open a 7.2 kernel: test/real/skb/refusals.test.ts holds it to its words.
const CASES = LAB_KERNELS.flatMap((version) =>
  (['elf', 'kdumpZlib'] as const).flatMap((format) =>
    (version === 'newest' ? (['native'] as const) : (['native', 'crash'] as const)).map(
      (engine) => ({ version, format, engine }),
    ),
  ),
);

describe.each(CASES)('$version, $format, through $engine', ({ version, format, engine }) => {
  test('every figure of every socket is what drgn finds, and what the guest knew', () => {
    const dump = labDump(version);
    const kernel = open(engine, version, format);
    try {
      expect(kernel.facts.release).toBe(dump.truth.release);
      compareWithOracle(kernel, dump);
      compareWithGuest(kernel, dump);
    } finally {
      kernel.close();
    }
  });
});

/** Each socket, through each process that holds it. */
function compareWithOracle(kernel: Kernel, { oracle }: LabDump): void {
  const answers = new Map<number, ReturnType<typeof skbProcessJson>>();
  const answerOf = (pid: number) => {
    const known = answers.get(pid) ?? skbProcessJson(accountProcess(kernel, pid));
    answers.set(pid, known);
    return known;
  };
  let compared = 0;
  for (const socket of oracle.sockets) {
    for (const holder of socket.holders) {
      const answer = answerOf(holder.pid);
      const ours = answer.sockets.find(({ fds }) => fds.includes(holder.fd));
      expect(ours, `pid ${holder.pid} fd ${holder.fd}`).toBeDefined();
      if (!ours) continue;
      expect(asOracle(ours), `pid ${holder.pid} fd ${holder.fd}`).toEqual(fromOracle(socket));
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(40);
  for (const answer of answers.values()) {
    expect(answer.warnings).toEqual([]);
    skbProcessSchema.parse(answer);
  }
}

/** What the processes asked their own kernel just before the dump. */
function compareWithGuest(kernel: Kernel, { truth }: LabDump): void {
  for (const role of truth.roles.filter(({ kind }) => kind === 'socket')) {
    const answer = skbJson(accountFd(kernel, role.pid, role.fd));
    skbSchema.parse(answer);
    expect(answer.process.comm, role.name).toBe(commOf(role));
    const { socket, skbs, bytes } = role;
    expect(answer.socket.inode, role.name).toBe(socket?.inode);
    expect(answer.socket.netns, role.name).toBe(socket?.netns);
    const { receive, outOfOrder, error, write, retransmit } = answer.queues;
    if (skbs !== null) expect(receive?.skbs, role.name).toBe(skbs);
    if (bytes !== null) expect(receive?.payloadBytes, role.name).toBe(bytes);
    const tcp = socket?.protocol === 6 && answer.socket.state !== 'LISTEN';
    if (tcp && socket?.unread !== null) {
      expect(receive?.payloadBytes, `${role.name}: FIONREAD`).toBe(socket?.unread);
    }
    if (tcp) {
      const charged = [receive, outOfOrder, error].map((queue) => queue?.truesizeBytes ?? 0);
      expect(
        charged.reduce((sum, bytes) => sum + bytes),
        `${role.name}: SO_MEMINFO's rmem_alloc`,
      ).toBe(socket?.meminfo.rmemAlloc);
      const queued = [write, retransmit].map((queue) => queue?.truesizeBytes ?? 0);
      expect(
        queued.reduce((sum, bytes) => sum + bytes),
        `${role.name}: SO_MEMINFO's wmem_queued`,
      ).toBe(socket?.meminfo.wmemQueued);
    }
  }
}

/** The guest gives a name byte by byte; ours is text where the bytes are UTF-8. */
function commOf({ comm }: Role): string {
  const bytes = Buffer.from(comm, 'latin1');
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte)).join(
    '',
  );
}
