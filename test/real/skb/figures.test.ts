import { expect, test } from 'vitest';
import { accountFd, accountProcess } from '../../../src/account/skb.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { type SkbJson, skbProcessSchema, skbSchema } from '../../../src/report/schema.js';
import { skbJson, skbProcessJson } from '../../../src/report/skb-json.js';
import { PageReader } from '../../../src/walk/pages.js';
import { asOracle, fromOracle } from '../../support/expected.js';
import {
  KDUMP_FORMATS,
  type KdumpFormat,
  kernelOf,
  LAB_DUMPS,
  LAB_KERNELS,
  type LabDump,
  type LabKernel,
  labDump,
  labKdump,
  labKernel,
  labPageOrders,
  labRecompressed,
  labTool,
  type Role,
} from '../../support/lab.js';
import { commOf, expectTruth } from '../../support/truth.js';

interface Case {
  readonly name: string;
  readonly kernel: LabKernel;
  readonly engine: 'native' | 'crash';
  readonly files: () => readonly string[];
  /** What the guest and drgn say of it. */
  readonly said: () => Pick<LabDump, 'truth' | 'oracle'>;
}

const ENGINES = ['native', 'crash'] as const;

/** Dumps by QEMU: the same memory in two formats; and five-level page tables. */
const BY_QEMU: Case[] = LAB_DUMPS.flatMap((dump) =>
  (['elf', 'kdumpZlib'] as const).flatMap((format) =>
    ENGINES.map((engine) => ({
      name: `${dump}, ${format}, through ${engine}`,
      kernel: kernelOf(dump),
      engine,
      files: () => [labDump(dump)[format]],
      said: () => labDump(dump),
    })),
  ),
);

/** True kdumps, by makedumpfile in a capture kernel, in all its formats. */
const BY_MAKEDUMPFILE: Case[] = LAB_KERNELS.flatMap((kernel) =>
  (Object.keys(KDUMP_FORMATS) as KdumpFormat[]).map((format) => ({
    name: `${kernel}, kdump, ${format}, through native`,
    kernel,
    engine: 'native' as const,
    files: () => labKdump(kernel).formats[format],
    said: () => labKdump(kernel),
  })),
)
  // makedumpfile drops live slab pages of 7.2 at level 31: test/real/damage/filtered.test.ts.
  .filter(({ name }) => !/^newest, kdump, (?!elf,).*d31/.test(name));

const RECOMPRESSED: Case[] = (['lzo', 'snappy'] as const).map((codec) => ({
  name: `6.1, kdump-${codec}, through native`,
  kernel: '6.1',
  engine: 'native',
  files: () => [labRecompressed('6.1')[codec]],
  said: () => labDump('6.1'),
}));

function open({ kernel, engine, files }: Case): Kernel {
  if (engine === 'native') return openNative({ files: [...files()] });
  const { vmlinux } = labKernel(kernel);
  return openCrash({ vmcore: files()[0], vmlinux, crash: labTool('crash') });
}

test.each([...BY_QEMU, ...BY_MAKEDUMPFILE, ...RECOMPRESSED])(
  '$name: every figure of every socket is what drgn finds, and what the guest knew',
  (each) => {
    const said = each.said();
    const kernel = open(each);
    try {
      expect(kernel.facts.release).toBe(said.truth.release);
      compareWithOracle(kernel, said);
      compareWithGuest(kernel, said);
    } finally {
      kernel.close();
    }
  },
);

test.each(LAB_DUMPS)('%s: orders are what the guest’s /proc/kpageflags says', (dump) => {
  const { elf, oracle } = labDump(dump);
  const order = labPageOrders(dump);
  const kernel = openNative({ files: [elf] });
  const reader = new PageReader(kernel);
  const pages = oracle.sockets.flatMap((socket) => Object.values(socket.pages).flat());
  for (const { pfn } of pages) {
    const block = reader.block(kernel.pageOfFrame(pfn) ?? 0n);
    expect(block, `page frame ${pfn}`).toMatchObject({ kind: 'page', order: order(pfn) });
  }
  expect(pages.length).toBeGreaterThan(100);
  kernel.close();
});

/** Each socket, through each process that holds it. */
function compareWithOracle(kernel: Kernel, { oracle }: Pick<LabDump, 'oracle'>): void {
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
function compareWithGuest(kernel: Kernel, { truth }: Pick<LabDump, 'truth'>): void {
  for (const role of truth.roles.filter(({ kind }) => kind === 'socket')) {
    const answer = skbJson(accountFd(kernel, role.pid, role.fd));
    skbSchema.parse(answer);
    expect(answer.process.comm, role.name).toBe(commOf(role));
    expectTruth(role, answer);
    expectKill(role, answer);
  }
}

/** A kill gives back nothing of what another process has open, whatever dup and threads do. */
function expectKill(role: Role, { freedIfKilled, total, exclusiveBytes }: SkbJson): void {
  const processes = new Set(role.holders.map(({ pid }) => pid));
  const expected =
    processes.size > 1 ? { low: 0, high: 0 } : { low: exclusiveBytes, high: total.pinnedBytes };
  expect(freedIfKilled, role.name).toEqual(expected);
}
