import { expect, test } from 'vitest';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { compareWithGuest, compareWithOracle } from '../../support/figures.js';
import {
  ALL_KERNELS,
  DUMPS,
  KDUMP_FORMATS,
  type KdumpFormat,
  kernelOf,
  type LabDump,
  type LabKernel,
  labDump,
  labKdump,
  labKdumpSnappy,
  labKernel,
  labPageOrders,
  labRecompressed,
  labTool,
  PANICKED_KERNELS,
} from '../../support/lab.js';

interface Case {
  readonly name: string;
  readonly kernel: LabKernel;
  readonly engine: 'native' | 'crash';
  readonly files: () => readonly string[];
  /** Facts from the guest and drgn. */
  readonly said: () => Pick<LabDump, 'truth' | 'oracle'>;
}

/** Dumps by QEMU: the same memory in two formats (crash reads the second in `kernels`); and five-level page tables. */
const BY_QEMU: Case[] = DUMPS.flatMap((dump) =>
  (['elf', 'kdumpZlib'] as const).flatMap((format) =>
    enginesFor(format).map((engine) => ({
      name: `${dump}, ${format}, through ${engine}`,
      kernel: kernelOf(dump),
      engine,
      files: () => [labDump(dump)[format]],
      said: () => labDump(dump),
    })),
  ),
);

function enginesFor(format: 'elf' | 'kdumpZlib'): readonly Case['engine'][] {
  return format === 'elf' || ALL_KERNELS ? ['native', 'crash'] : ['native'];
}

/** Real kdumps, by makedumpfile in a capture kernel, in all its formats. */
const BY_MAKEDUMPFILE: Case[] = PANICKED_KERNELS.flatMap((kernel) =>
  (Object.keys(KDUMP_FORMATS) as KdumpFormat[]).map((format) => ({
    name: `${kernel}, kdump, ${format}, through native`,
    kernel,
    engine: 'native' as const,
    files: () => labKdump(kernel).formats[format],
    said: () => labKdump(kernel),
  })),
)
  // makedumpfile drops slab pages in use of 7.2 at level 31: test/real/damage/filtered.test.ts.
  .filter(({ name }) => !/^newest, kdump, (?!elf,).*d31/.test(name));

const RECOMPRESSED: Case[] = [
  ...(['lzo', 'snappy'] as const).map((codec) => ({
    name: `6.1, kdump-${codec}, through native`,
    kernel: '6.1' as const,
    engine: 'native' as const,
    files: () => [labRecompressed('6.1')[codec]] as const,
    said: () => labDump('6.1'),
  })),
  {
    name: '6.1, kdump, snappy-d31, through native',
    kernel: '6.1',
    engine: 'native',
    files: () => [labKdumpSnappy('6.1')],
    said: () => labKdump('6.1'),
  },
];

function open({ kernel, engine, files }: Case): Kernel {
  if (engine === 'native') return openNative({ files: [...files()] });
  const { vmlinux } = labKernel(kernel);
  return openCrash({ vmcore: files()[0], vmlinux, crash: labTool('crash') });
}

test.each([...BY_QEMU, ...BY_MAKEDUMPFILE, ...RECOMPRESSED])(
  '$name: every figure of every socket matches drgn and the guest',
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

test.each(DUMPS)('%s: orders match the guest’s /proc/kpageflags', (dump) => {
  const { elf, oracle } = labDump(dump);
  const order = labPageOrders(dump);
  const kernel = openNative({ files: [elf] });
  const reader = new PageReader(kernel);
  const pages = oracle.sockets.flatMap((socket) => Object.values(socket.pages).flat());
  for (const { pfn } of pages) {
    const block = reader.block(kernel.pages.pageOfFrame(pfn));
    expect(block, `page frame ${pfn}`).toMatchObject({ kind: 'page', order: order(pfn) });
  }
  expect(pages.length).toBeGreaterThan(100);
  kernel.close();
});
