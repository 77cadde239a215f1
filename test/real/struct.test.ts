import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeText } from '../../src/answers/struct/render.js';
import { structSchema } from '../../src/contracts/struct.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { namedTypes } from '../../src/kernel/native/named-types.js';
import { openNative } from '../../src/kernel/native/open.js';
import { kdumpMem } from '../support/in-process.js';
import { KERNELS, labDump, labKdump, labKernel, labTool, ofRun } from '../support/lab.js';
import { structInstancesSuite } from './struct-instances.js';

/**
 * Lines of a layout: `name offset size`, `name bit N width N`, closing braces of anonymous structs,
 * holes and padding in bits, and the sums of the struct.
 */
function linesOf(text: string): string[] {
  const lines: string[] = [];
  let hole = 0;
  let padding = 0;
  let sums = '';
  for (const line of text.split('\n')) {
    const [, count, unit] = /\/\* XXX (\d+) (bit|byte)s? hole/.exec(line) ?? [];
    if (count) hole += Number(count) * (unit === 'byte' ? 8 : 1);
    const place = /\/\* +(\d+)(?:: ?(\d+))? +(\d+) \*\/$/.exec(line);
    if (place) {
      if (hole > 0) lines.push(`hole ${hole}`);
      hole = 0;
      const [, offset, bit, size] = place;
      const width = /:(\d+);/.exec(line)?.[1];
      // The storage unit of a packed bitfield is arbitrary; its bits are not.
      if (bit === undefined) lines.push(`${nameIn(line)} ${offset} ${size}`);
      else lines.push(`${nameIn(line)} bit ${Number(offset) * 8 + Number(bit)} width ${width}`);
    }
    // A const anonymous struct has sums of its own: the last are those of the whole struct.
    sums = /\/\* (size: \d+, cachelines: \d+, members: \d+)/.exec(line)?.[1] ?? sums;
    const [, bits, much] = /\/\* (bit_)?padding: (\d+)/.exec(line) ?? [];
    if (much) padding += Number(much) * (bits ? 1 : 8);
  }
  return [...lines, sums, `padding ${padding}`];
}

/** The name that a line declares; `}` for an anonymous struct's end. */
function nameIn(line: string): string {
  const declared = line.slice(0, line.indexOf(';')).trim();
  const pointer = /\(\*+\s*(?:const )?(\w+)(?:\[\d*\])*\)/.exec(declared)?.[1];
  if (pointer) return pointer;
  const bare = declared
    .replace(/\s*__attribute__\(\(\w+(\(\d+\))?\)\)/g, '')
    .replace(/:\d+$/, '')
    .replace(/(\[\d*\])+$/, '');
  return /(\w+)$/.exec(bare)?.[1] ?? '}';
}

/** `struct NAME {` … `};` in pahole's output, those that it prints exactly once. */
function paholeStructs(vmlinux: string): Map<string, string> {
  const said = execFileSync('pahole', ['-F', 'btf', vmlinux], {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString('latin1');
  const structs = new Map<string, string>();
  const repeated = new Set<string>();
  for (const [block, name = ''] of said.matchAll(/^struct (\w+) \{\n[\s\S]*?^\};?/gm)) {
    if (structs.has(name)) repeated.add(name);
    structs.set(name, block);
  }
  for (const name of repeated) structs.delete(name);
  return structs;
}

// pahole 1.24 does not support all BTF of newer kernels, and omits members.
const PAHOLE_KERNELS = ofRun(['5.10', '6.1'] as const);

describe.each(PAHOLE_KERNELS)('layouts compared with pahole, %s', (version) => {
  let kernel: NativeKernel;
  beforeAll(() => {
    kernel = openNative({ files: [labDump(version).kdumpZlib] });
  });
  afterAll(() => kernel.close());

  test('every member, hole and size of every struct that it prints', () => {
    const structs = paholeStructs(labKernel(version).vmlinux);
    let compared = 0;
    let members = 0;
    for (const [name, block] of structs) {
      const types = namedTypes(kernel, `struct ${name}`);
      // It prints the target of a pointer to an anonymous struct as if that were part of it.
      if (types.length !== 1 || /^\t+\} \*/m.test(block)) continue;
      const ours = linesOf(typeText(types[0]!));
      const theirs = linesOf(block);
      expect(ours, name).toEqual(theirs);
      compared++;
      members += theirs.length;
    }
    expect(compared).toBeGreaterThan(6000);
    expect(members).toBeGreaterThan(50_000);
  });
});

for (const version of KERNELS) structInstancesSuite(version);

describe('struct, as a command', () => {
  const { kdumpZlib } = labDump('6.1');
  const struct = (...args: readonly string[]) => kdumpMem('struct', ...args, '--vmcore', kdumpZlib);

  test('members by their paths, with values', async () => {
    const { stdout } = await struct('task_struct.pid,comm,thread_node.next', 'init_task');
    const [pid, comm, next] = stdout.split('\n');
    expect(pid).toBe('  pid = 0');
    expect(comm).toBe('  comm = "swapper/0"');
    expect(next).toMatch(/^ {2}thread_node\.next = 0xffffffff[0-9a-f]{8} <init_signals\+0x[0-9a-f]+>$/);
  });

  test('a per-CPU variable of one CPU, with the same value that crash prints', async () => {
    const { vmlinux } = labKernel('6.1');
    const said = execFileSync(labTool('crash'), ['-s', vmlinux, labDump('6.1').elf], {
      input: 'p runqueues:1 | grep nr_switches\nquit\n',
    }).toString();
    const switches = /nr_switches = (\d+)/.exec(said)?.[1];
    expect(Number(switches)).toBeGreaterThan(0);
    const { stdout } = await struct('rq.nr_switches', 'runqueues:1');
    expect(stdout).toMatch(new RegExp(`^ {2}nr_switches = ${switches}\\b`));
    expect((await struct('rq.nr_switches', 'runqueues')).status).toBe(4);
  });

  test('a type of a module, a typedef and an enum', async () => {
    const virtio = await struct('virtnet_info');
    expect(virtio.stdout).toMatch(/^\/\* in the module virtio_net \*\/\nstruct virtnet_info \{\n/);
    const frag = await struct('skb_frag_t');
    expect(frag.stdout).toMatch(/^typedef struct bio_vec skb_frag_t;\nstruct bio_vec \{\n/);
    const { stdout } = await struct('pageflags', '--json');
    const { types } = structSchema.parse(JSON.parse(stdout));
    expect(types[0]).toMatchObject({ kind: 'enum', values: { PG_locked: 0, PG_head: 16 } });
  });

  test('a missing name is reported in one line, with status 4', async () => {
    const type = await struct('no_such_struct');
    expect(type).toMatchObject({ stdout: '', status: 4 });
    expect(type.stderr).toMatch(/^kdump-mem: the kernel has no type no_such_struct; did you mean \w+, \w+ or \w+\?\n$/);
    const member = await struct('list_head.middle');
    expect(member.stderr).toBe('kdump-mem: struct list_head has no member middle; it has next, prev\n');
    expect(member.status).toBe(4);
    expect((await struct('list_head', 'no_such_symbol')).status).toBe(4);
    expect((await struct('list_head', '0xffff800000000000')).status).toBe(3);
    expect((await struct('list_head', '--engine', 'crash')).status).toBe(2);
  });

  test('filtered members are reported individually', async () => {
    const [filtered] = labKdump('6.1').formats['lzo-d31'];
    const hole = firstHole(filtered!);
    // An instance that begins 8 bytes before the hole: only its first member is captured.
    const at = `0x${(hole - 8n).toString(16)}`;
    const { stdout, stderr, status } = await kdumpMem('struct', 'list_head', at, '--vmcore', filtered!);
    expect(stdout).toMatch(/next = 0x[0-9a-f]+.*,\n {2}prev = <filtered out of the dump>\n/);
    expect(stderr).toContain('was filtered out of the dump');
    expect(status).toBe(0);
    const strict = await kdumpMem('struct', 'list_head', at, '--vmcore', filtered!, '--strict');
    expect(strict.status).toBe(5);
  });
});

/** The direct-map address of a filtered page behind a captured one. */
function firstHole(filtered: string): bigint {
  const kernel = openNative({ files: [filtered] });
  try {
    const base = kernel.read(kernel.symbol('page_offset_base')!, 8).getBigUint64(0, true);
    const isCaptured = (address: bigint): boolean => {
      try {
        kernel.read(address, 8);
        return true;
      } catch {
        return false;
      }
    };
    for (let page = base + 0x100_0000n; page < base + 0x2000_0000n; page += 4096n) {
      if (isCaptured(page) && !isCaptured(page + 4096n)) return page + 4096n;
    }
    throw new Error('no page was left out');
  } finally {
    kernel.close();
  }
}
