import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { leaksSchema } from '../../../../src/contracts/leaks.js';
import { commandPath } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';

const MIB = 2 ** 20;
/** Limit of our own memory, including Node's. */
const MAX_BYTES = 150 * MIB;
/** Maximum number of followed blocks. */
const FOLLOWED = 500_000;
const BLOCKS = 550_000;
const STACKS = 200;

const folder = scratchFolder('leaks-memory-');

const CALLERS = 'kmalloc_order tcp_sendmsg_locked tcp_sendmsg sock_sendmsg __sys_sendto do_syscall_64'.split(' ');
const stackOf = (at: number) => ['__alloc_pages', `driver_${at % STACKS}`, ...CALLERS];
const secondsOf = (at: number) => (100 + at * 0.0002).toFixed(6);
const hex = (value: number, digits = 1) => value.toString(16).padStart(digits, '0');

/** Each format for one block, with a free now and then. */
const FORMS = {
  'trace of pages': (at: number) => {
    const head = ` worker-${1000 + (at % 50)} [00${at % 4}] ..... ${secondsOf(at)}:`;
    const freed = at % 100 === 99 ? `${head} mm_page_free: page=1 pfn=0x${hex((at - 50) * 3 + 4096)} order=0\n` : '';
    return `${head} mm_page_alloc: page=1 pfn=0x${hex(at * 3 + 4096)} order=0 migratetype=0\n${head} <stack trace>\n${stackOf(
      at,
    )
      .map((name) => ` => ${name}\n`)
      .join('')}${freed}`;
  },
  'trace of objects': (at: number) => {
    const head = ` worker-${1000 + (at % 50)} [00${at % 4}] ..... ${secondsOf(at)}:`;
    const address = (one: number) => `ffff8880${hex(2 ** 28 + one * 512, 8)}`;
    const freed = at % 100 === 99 ? `${head} kfree: call_site=1 ptr=${address(at - 50)}\n` : '';
    return `${head} kmalloc: call_site=1 ptr=${address(at)} bytes_req=500 bytes_alloc=512\n${head} <stack trace>\n${stackOf(
      at,
    )
      .map((name) => ` => ${name}\n`)
      .join('')}${freed}`;
  },
  'perf script': (at: number) => {
    const head = `worker ${1000 + (at % 50)} [00${at % 4}] ${secondsOf(at)}: kmem:`;
    const freed = at % 100 === 99 ? `${head}mm_page_free: page=1 pfn=0x${hex((at - 50) * 3 + 4096)} order=0\n\n` : '';
    return `${head}mm_page_alloc: page=1 pfn=0x${hex(at * 3 + 4096)} order=0 migratetype=0\n${stackOf(at)
      .map((name) => `\tffffffff81234560 ${name}+0x10 ([kernel.kallsyms])\n`)
      .join('')}\n${freed}`;
  },
} as const;

function written(name: string, blockOf: (at: number) => string, blocks: number): string {
  const path = join(folder, name);
  const file = openSync(path, 'w');
  for (let at = 0; at < blocks; at += 1000)
    writeSync(file, Array.from({ length: 1000 }, (_, index) => blockOf(at + index)).join(''));
  closeSync(file);
  return path;
}

/** Runs the command, which reports its peak memory at the end. */
async function peakOf(...args: readonly string[]) {
  const [tell, usage] = [join(folder, 'tell.cjs'), join(folder, 'told')];
  writeFileSync(
    tell,
    // ru_maxrss would be that of the test, if larger: exec keeps it (exec_mmap, fs/exec.c).
    `const fs = require('node:fs'); process.on('exit', () => fs.writeFileSync(${JSON.stringify(usage)}, fs.readFileSync('/proc/self/status')))`,
  );
  const { stdout } = await execa(process.execPath, ['-r', tell, commandPath('kdump-mem'), ...args]);
  const answer = leaksSchema.parse(JSON.parse(stdout));
  return { answer, peak: Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(usage, 'utf8'))?.[1]) * 1024 };
}

test.each(Object.entries(FORMS))('half a million held blocks need at most 150 MiB: %s', async (name, blockOf) => {
  const file = written(name, blockOf, BLOCKS);
  const type = name === 'trace of objects' ? 'slab' : 'page';
  const { answer, peak } = await peakOf('leaks', '--from', file, '--type', type, '--json');
  rmSync(file);
  console.log(name, `${(peak / MIB).toFixed(1)} MiB`, answer.total.blocks, answer.losses);
  expect(answer.total.blocks).toBe(FOLLOWED);
  expect(answer.losses.dropped).toBeGreaterThan(40_000);
  expect(peak).toBeLessThanOrEqual(MAX_BYTES);
});

test('copies of page_owner need no more', async () => {
  const block = (at: number) =>
    `Page allocated via order 0, mask 0xcc0(GFP_KERNEL), pid 7, tgid 7 (worker), ts ${1e9 + at * 1000} ns\nPFN 0x${hex(at + 4096)} type Unmovable Block 1 type Unmovable Flags 0x1(locked)\n${stackOf(
      at,
    )
      .map((name) => ` ${name}+0x10/0x20\n`)
      .join('')}\n`;
  const files = [written('before', block, BLOCKS / 2), written('after', block, BLOCKS)];
  const { answer, peak } = await peakOf('leaks', '--from', ...files, '--interval', '10m', '--json');
  console.log('page_owner', `${(peak / MIB).toFixed(1)} MiB`, answer.total.blocks);
  expect(answer.total.blocks).toBe(BLOCKS / 2);
  expect(peak).toBeLessThanOrEqual(MAX_BYTES);
});
