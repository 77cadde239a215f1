import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { drgnJson } from '../support/drgn.js';
import { kdumpMem } from '../support/in-process.js';
import {
  KDUMP_FORMATS,
  type KdumpFormat,
  KERNELS,
  labDump,
  labKdump,
  labKernel,
  labTool,
  PANICKED_KERNELS,
} from '../support/lab.js';
import { asDrgn, type Drgn, fromDrgn, info, pausedInfoSuite, SCRIPT } from './info-suite.js';

for (const version of KERNELS) pausedInfoSuite(version);

const LEVELS: Partial<Record<KdumpFormat, number>> = {
  'lzo-d31': 31,
  'zlib-d31': 31,
  'zstd-d31': 31,
  'raw-d31': 31,
  'flattened-d31': 31,
  'split-d31': 31,
  'lzo-d17': 17,
  'lzo-d0': 0,
};

describe.each(PANICKED_KERNELS)('info about a kernel that panicked, %s', (version) => {
  const kdump = () => labKdump(version);
  const truth = () => drgnJson<Drgn>(kdump().formats.elf[0]!, version, SCRIPT);

  test('in any format, reports what drgn reports, the panic reason and the filter', async () => {
    const expected = truth();
    expect(expected.panic).toBe('Kernel panic - not syncing: sysrq triggered crash');
    const crashTime = crashTimeOf(kdump().formats.elf[0]!);
    for (const format of Object.keys(KDUMP_FORMATS) as KdumpFormat[]) {
      const answer = await info(...kdump().formats[format]);
      expect(asDrgn(answer), format).toEqual(fromDrgn(expected));
      const panic = answer.kernel?.panic;
      expect(panic?.state).toBe('panicked');
      expect(panic?.cause).toBe(expected.fault);
      // The shell that wrote to /proc/sysrq-trigger was running on the CPU that panicked.
      expect(panic?.task).toEqual(expected.running.find(({ cpu }) => cpu === panic?.cpu));
      expect(panic?.task?.comm).toBe('sh');
      expect(answer.time?.from).toBe('crash');
      expect(Date.parse(answer.time?.at ?? '') / 1000).toBe(crashTime);
      expect(answer.dump.dumpLevel).toBe(LEVELS[format] ?? null);
      expect(answer.dump.files.map(({ path }) => path)).toEqual(kdump().formats[format]);
      for (const { what } of answer.missing) expect(what).toBe('types of a module');
    }
  });

  test('uptime agrees with the time of the last line in its log', async () => {
    const log = readFileSync(join(kdump().folder, 'log'), 'latin1');
    const panicked = /\[ *(\d+\.\d+)\] Kernel panic - not syncing/.exec(log)?.[1];
    const answer = await info(...kdump().formats['lzo-d31']);
    expect(Math.abs((answer.time?.uptimeSeconds ?? 0) - Number(panicked))).toBeLessThan(2);
  });
});

/** The line in VMCOREINFO, from the raw file. */
function crashTimeOf(path: string): number {
  const head = readFileSync(path)
    .subarray(0, 1 << 20)
    .toString('latin1');
  return Number(/^CRASHTIME=(\d+)$/m.exec(head)?.[1]);
}

// crash 9.0.2 cannot open a 7.2 kernel.
const CRASH_KERNELS = KERNELS.filter((version) => version !== 'newest');

describe.each(CRASH_KERNELS)('info compared with crash, %s', (version) => {
  test('reports what crash’s `sys` reports', async () => {
    const [file] = labKdump(version).formats['lzo-d31'];
    const { vmlinux, config } = labKernel(version);
    const said = execFileSync(labTool('crash'), ['-s', vmlinux, file!], {
      input: 'sys\np jiffies_64\nquit\n',
      env: { ...process.env, TZ: 'UTC' },
    }).toString();
    const field = (name: string) => new RegExp(`^ *${name}: (.*)$`, 'm').exec(said)?.[1]?.trim();
    const { time, kernel } = await info(file!);
    expect(field('RELEASE')).toBe(kernel?.release);
    expect(field('VERSION')).toBe(kernel?.version);
    expect(field('NODENAME')).toBe(kernel?.nodename);
    expect(field('CPUS')).toBe(String(kernel?.cpus.online));
    expect(Date.parse(field('DATE') ?? '')).toBe(Date.parse(time?.at ?? ''));
    expect(field('PANIC')).toBe(JSON.stringify(kernel?.panic.message));
    // crash's UPTIME is 212 s too large on 6.12; it is computed from ticks since boot.
    const ticks = BigInt(/\$1 = (\d+)/.exec(said)?.[1] ?? -1);
    const hz = Number(/^CONFIG_HZ=(\d+)$/m.exec(readFileSync(config, 'utf8'))?.[1]);
    const uptime = Number(ticks - (2n ** 32n - BigInt(300 * hz))) / hz;
    // Ticks are late in a virtual machine.
    expect(Math.abs((time?.uptimeSeconds ?? 0) - uptime)).toBeLessThan(2);
  });
});

describe('info about incomplete dumps', () => {
  test('a truncated dump still reports its format and kernel', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-info-'));
    try {
      const whole = readFileSync(labKdump('6.1').formats['lzo-d31'][0]!);
      const cut = join(folder, 'vmcore');
      writeFileSync(cut, whole.subarray(0, whole.length * 0.6));
      const answer = await info(folder);
      expect(answer.dump.anomalies[0]).toMatch(/^truncated \(needs at least \d+ bytes, has \d+\)$/);
      expect(answer.noted.release).toBe(labKernel('6.1').release);
      expect(answer.time?.from).toBe('crash');
      expect(answer.missing.length).toBeGreaterThan(0);
      const { stdout } = await kdumpMem('info', '--vmcore', cut);
      expect(stdout).toContain('Unknown:');
      expect((await kdumpMem('info', '--vmcore', cut, '--strict')).status).toBe(5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('one part of a split dump reports the missing parts, and does not guess', async () => {
    const parts = labKdump('6.1').formats['split-d31'];
    const whole = await info(...parts);
    expect(parts).toHaveLength(3);
    let withoutLog = 0;
    for (const part of parts) {
      const { dump, noted, kernel, missing } = await info(part);
      expect(dump.anomalies.join('\n')).toContain('a part of the split dump was not given');
      expect(noted.release).toBe(whole.noted.release);
      const lacks = missing.map(({ what }) => what);
      // The part that contains the kernel and its log differs from guest to guest.
      if (kernel === null) expect(lacks).toEqual(['kernel, and every figure']);
      if (kernel === null || lacks.includes('the log')) withoutLog++;
      expect(lacks).not.toEqual([]);
      // Facts about a part equal those about the complete dump, or are missing.
      for (const key of ['processes', 'taint', 'ramBytes', 'modules', 'version'] as const) {
        const fact = kernel?.[key] ?? null;
        if (fact !== null) expect(fact, key).toEqual(whole.kernel?.[key]);
      }
      if (kernel === null) continue;
      expect(kernel.panic.state).toBe('panicked');
      expect([whole.kernel?.panic.message, null]).toContain(kernel.panic.message);
      expect(kernel.panic.message === null).toBe(lacks.includes('the log'));
    }
    expect(withoutLog).toBeGreaterThanOrEqual(2);
  });

  test('a wrong vmlinux is an error, not missing data', async () => {
    const { vmlinux } = labKernel('newest');
    const { stderr, status } = await kdumpMem('info', '--vmcore', labDump('6.1').elf, '--vmlinux', vmlinux);
    expect(status).toBe(3);
    expect(stderr).toMatch(/^kdump-mem: .*: from a different kernel build \(.*\n$/);
  });
});
