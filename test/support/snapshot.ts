import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cksum } from '../../src/capture/read/tar.js';

/** One process of a synthetic snapshot; kB. */
export interface MadeProcess {
  readonly pid: number;
  readonly comm: string;
  readonly anonymous: number;
  /** Value in the first sample; undefined if it is the same. */
  readonly before?: number;
  readonly cgroup?: string;
  /** Null if its smaps_rollup was not captured. */
  readonly pss?: number | null;
  /** Its entries in smaps, if requested. */
  readonly smaps?: string;
  /** Lines of its status, in addition or instead. */
  readonly status?: Readonly<Record<string, string>>;
  /** It does not exist in the first sample. */
  readonly later?: true;
}

const stat = ({ pid, comm, later }: MadeProcess) =>
  `${pid} (${comm}) S 1 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 ${later ? 10_150 : 5000} 1 2 3`;

function statesOf(processes: readonly MadeProcess[], sample: 1 | 2): string {
  return processes
    .filter(({ later }) => sample === 2 || !later)
    .flatMap((made) => {
      const { pid, comm, anonymous, before = anonymous, cgroup = '/', status = {} } = made;
      const own = sample === 1 ? before : anonymous;
      const usual = [
        'State:\tS (sleeping)',
        `Tgid:\t${pid}`,
        'Uid:\t33\t33\t33\t33',
        `NSpid:\t${pid}\t1`,
        'VmLck:\t       0 kB',
        `VmRSS:\t${own + 100} kB`,
        `RssAnon:\t${own} kB`,
        'RssFile:\t     100 kB',
        'RssShmem:\t       0 kB',
        'VmPTE:\t      44 kB',
        'VmSwap:\t       0 kB',
        'Threads:\t1',
      ].filter((line) => !(line.split(':')[0]! in status));
      const more = Object.entries(status).map(([name, value]) => `${name}:\t${value}`);
      return [...usual, ...more]
        .map((line) => `/proc/${pid}/status:${line}`)
        .concat(
          `/proc/${pid}/task/${pid}/status:State:\tS (sleeping)`,
          `/proc/${pid}/comm:${comm}`,
          `/proc/${pid}/cgroup:0::${cgroup}`,
          `/proc/${pid}/stat:${stat(made)}`,
          `/proc/${pid}/oom_score:66${pid}`,
          `/proc/${pid}/oom_score_adj:-1`,
        );
    })
    .map((line) => `${line}\n`)
    .join('');
}

function rollupOf({ pid, anonymous, pss = anonymous }: MadeProcess): string {
  if (pss === null) return '';
  return [
    '55d0-7ffc ---p 00000000 00:00 0                          [rollup]',
    `Rss: ${anonymous + 100} kB`,
    `Pss: ${pss} kB`,
    `Pss_Anon: ${anonymous} kB`,
    'Pss_Shmem: 0 kB',
    'Private_Clean: 0 kB',
    `Private_Dirty: ${anonymous} kB`,
    `Anonymous: ${anonymous} kB`,
    'Swap: 0 kB',
    'SwapPss: 0 kB',
    'Locked: 0 kB',
  ]
    .map((line) => `/proc/${pid}/smaps_rollup:${line}\n`)
    .join('');
}

const smapsOf = ({ pid, smaps = '' }: MadeProcess): string => smaps.replace(/^(?=.)/gm, `/proc/${pid}/smaps:`);

/** The files of a snapshot in the third layout, without its manifest; its samples are 2 s apart. */
export function snapshotFiles(processes: readonly MadeProcess[]): Map<string, string> {
  const namespaces = processes
    .flatMap(({ pid }) => [
      ` /proc/${pid}/ns/net -> net:[4026531840]`,
      ` /proc/${pid}/ns/pid -> pid:[${4026532000 + pid}]`,
    ])
    .map((line) => `lrwxrwxrwx 1 0 0 0 Jan  1 00:00${line}\n`)
    .join('');
  const smaps = processes.map(smapsOf).join('');
  return new Map([
    ['version', '3\n'],
    ['taken', '2026-01-02T03:04:05Z\n'],
    ['taken-by', 'script\n'],
    ['asked', smaps === '' ? '' : 'smaps\n'],
    ['left-out', 'environment\narguments\nunix-paths\n'],
    ['errors', ''],
    ['proc/meminfo', meminfo({ MemTotal: 1_024_000, MemFree: 512_000 })],
    ['proc/sys/kernel/hostname', 'db1\n'],
    ['proc/sys/kernel/random/boot_id', '0f5b8d34-0000-4000-8000-000000000001\n'],
    ['sample-1/began', '100.00 1.00\n'],
    ['sample-1/ended', '100.50 1.00\n'],
    ['sample-1/before', statesOf(processes, 1)],
    ['sample-1/namespaces', namespaces],
    ['sample-1/descriptors', ''],
    ['sample-2/began', '102.50 1.00\n'],
    ['sample-2/ended', '103.00 1.00\n'],
    ['sample-2/after', statesOf(processes, 2)],
    ['sample-2/namespaces', namespaces],
    ['sample-2/descriptors', ''],
    ['sample-2/memory', processes.map(rollupOf).join('')],
    ...(smaps === '' ? [] : [['sample-2/smaps', smaps] as const]),
  ]);
}

/** Writes a capture as a directory, with its manifest. @returns `path` */
export function writeCapture(path: string, files: Iterable<readonly [string, string | Buffer]>): string {
  const lines: string[] = [];
  for (const [name, content] of files) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
    const bytes = Buffer.from(content);
    lines.push(`${cksum(bytes)} ${bytes.length} ./${name}\n`);
  }
  writeFileSync(join(path, 'manifest'), `${lines.join('')}whole ${lines.length}\n`);
  return path;
}

/** Lines of /proc/meminfo that every kernel prints. */
const EVERY_KERNEL =
  'MemTotal MemFree Buffers Cached SwapCached AnonPages Shmem Slab SReclaimable SUnreclaim KernelStack PageTables';

/** @param values in kB; other lines that every kernel prints are 0 */
export function meminfo(values: Readonly<Record<string, number>>): string {
  const zeros = `${EVERY_KERNEL} VmallocUsed VmallocChunk`.split(' ').map((name) => [name, 0] as const);
  const lines = Object.entries({ ...Object.fromEntries(zeros), ...values });
  return lines.map(([name, kib]) => `${`${name}:`.padEnd(16)}${kib} kB\n`).join('');
}
