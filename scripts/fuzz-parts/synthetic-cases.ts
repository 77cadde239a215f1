import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BtfWriter } from '../../test/support/btf.js';
import { type Compression, compress } from '../../test/support/dump/compress.js';
import { type BlockSpec, diskdumpExtents } from '../../test/support/dump/diskdump.js';
import { vmcoreinfoNote, writeElf } from '../../test/support/dump/elf.js';
import { flatten, joinExtents } from '../../test/support/dump/extents.js';
import { littleEndian } from '../../test/support/little-endian.js';
import { someTypes, syntheticKernel } from '../../test/support/native-kernel.js';
import { bomb } from './bombs.js';
import { damageBytes } from './bytes.js';
import { runCommand } from './command.js';
import type { Random } from './random.js';
import { Broken } from './rules.js';
import { wildValue } from './values.js';

const PAGE = 4096;
const COMPRESSIONS: readonly Compression[] = ['none', 'zlib', 'lzo', 'snappy', 'zstd'];

/** A table in the format of dwarf2json. */
const ISF = JSON.stringify({
  metadata: { format: '6.2.0' },
  base_types: { int: { size: 4, signed: true, kind: 'int', endian: 'little' } },
  user_types: {
    page: {
      size: 64,
      kind: 'struct',
      fields: {
        flags: { offset: 0, type: { kind: 'base', name: 'int' } },
        unnamed_field_8: { offset: 8, anonymous: true, type: { kind: 'union', name: 'unnamed_1' } },
        bits: {
          offset: 48,
          type: { kind: 'bitfield', bit_position: 3, bit_length: 2, type: { kind: 'base', name: 'int' } },
        },
      },
    },
    unnamed_1: {
      size: 8,
      kind: 'union',
      fields: {
        lru: { offset: 0, type: { kind: 'pointer', subtype: { kind: 'struct', name: 'page' } } },
        order: { offset: 0, type: { kind: 'array', count: 2, subtype: { kind: 'enum', name: 'mode' } } },
      },
    },
  },
  enums: { mode: { size: 4, base: 'int', constants: { OFF: 0, ON: 1 } } },
  symbols: { _stext: { address: 4096 }, _etext: { address: 8192 } },
});

/** Dumps of small synthetic kernels, in every format, damaged in their tables or in the file. */
export class SyntheticCases {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kdump-mem-fuzz-'));
  #files: string[] = [];

  /** A description of the damage, and the outcome of the command. @throws {Broken} */
  async run(random: Random): Promise<readonly string[]> {
    const told: string[] = [];
    const kernel = syntheticKernel({
      levels: random.pick([4, 5] as const),
      order: random.pick(['old', 'between', 'new'] as const),
      encoding: random.pick(['absolute', 'relative', 'relative-percpu', 'place'] as const),
      named: !random.oneIn(4),
      note: !random.oneIn(6),
      variables: !random.oneIn(4),
      ...(random.oneIn(2) ? { btf: damagedTypes(random, told) } : {}),
    });
    const { memory } = kernel;
    let text = kernel.text;
    const hasNote = kernel.image.vmcoreinfo !== undefined;
    switch (random.below(6)) {
      case 0:
        text = damagedText(random, text, told);
        if (!hasNote) memory.write(0x1c0_0000, Buffer.from(text, 'latin1'));
        break;
      case 1:
        for (let times = 1 + random.below(3); times > 0; times--) {
          const entry = kernel.tables.root + 8 * random.below(2048);
          const old = memory.read(kernel.tables.root, 8).getBigUint64(0, true);
          const value = random.pick([
            BigInt(kernel.tables.root) | 0x63n,
            BigInt(kernel.tables.root) | 0xe3n,
            0x000f_ffff_ffff_f063n,
            (random.word() & 0xfff_ffff_f000n) | 0x63n,
            wildValue(random, old, 8),
          ]);
          if (memory.pages.has(Math.floor(entry / PAGE))) memory.writeWord(entry, value);
          told.push(`page table entry at 0x${entry.toString(16)}: 0x${value.toString(16)}`);
        }
        break;
      case 2:
      case 3: {
        // The tables of kallsyms, and BTF.
        const at = random.oneIn(2) ? 0x8000n : 0x10_0000n;
        const start = kernel.physical(kernel.at.constants + at);
        for (let times = 1 + random.below(4); times > 0; times--) {
          const place = start + random.below(random.oneIn(2) ? 64 : 3000);
          const size = random.pick([1, 2, 4]);
          const bytes = littleEndian(wildValue(random, 0n, size), size);
          memory.write(place, bytes);
          told.push(`table at 0x${place.toString(16)}: ${Buffer.from(bytes).toString('hex')}`);
        }
        break;
      }
      case 4: {
        const frame = random.pick([...memory.pages.keys()]);
        memory.write(frame * PAGE, random.bytes(PAGE));
        told.push(`page ${frame} is random`);
        break;
      }
      default:
    }
    const parts = this.#write(random, memory.pages, hasNote ? text : undefined, told);
    this.#files = parts.map((bytes, index) => {
      const path = join(this.#folder, `vmcore.${index}`);
      writeFileSync(path, bytes);
      return path;
    });
    const files = this.#files.flatMap((file) => ['--vmcore', file]);
    if (random.oneIn(4)) {
      const types = join(this.#folder, 'types');
      const plain = random.oneIn(2) ? someTypes().build() : Buffer.from(ISF);
      told.push(`--types ${plain instanceof Buffer ? 'ISF' : 'BTF'}`);
      writeFileSync(types, damageBytes(random, plain, told));
      this.#files.push(types);
      files.push('--types', types);
    }
    const command = random.pick([
      ['info'],
      ['info', '--json'],
      ['struct', 'page'],
      ['struct', 'page', '--json'],
      ['struct', 'outer', kernel.at.data.toString(16)],
      ['struct', 'outer'],
      ['struct', 'outer', '--json'],
      ['struct', 'page', kernel.pages.toString(16)],
      ['read', '_text', '--length', '8k'],
      ['read', kernel.vmalloc.toString(16), '--length', '16k', '--json'],
      ['read', '--phys', '0', '--length', '4k'],
      ['read', '--phys', '1000000', '--length', '64k', '--zero-excluded'],
      ['read', '--phys', '0', '--length', '4k', '--raw'],
      ['skb', '--pid', '1'],
      ['sockets'],
    ]);
    told.push(command.join(' '));
    try {
      const { status } = await runCommand([...command, ...files]);
      return [...told, `status ${status}`];
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      throw new Broken(error.rule, `${error.message}\n  ${told.join('\n  ')}`, { cause: error });
    } finally {
      const stray = readdirSync(this.#folder).length - this.#files.length;
      for (const file of this.#files) rmSync(file);
      // biome-ignore lint/correctness/noUnsafeFinally: worse than what went wrong before
      if (stray > 0) throw new Broken('stray file', `${stray} files beside the dump`);
    }
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(
    random: Random,
    pages: ReadonlyMap<number, Uint8Array>,
    vmcoreinfo: string | undefined,
    told: string[],
  ): Uint8Array[] {
    const notes = vmcoreinfo === undefined ? [] : [vmcoreinfoNote(vmcoreinfo)];
    const format = random.pick(['elf', 'diskdump', 'diskdump', 'diskdump', 'flat', 'split']);
    told.push(format);
    if (format === 'elf') {
      const loads = joined(pages).map(({ start, data }) => {
        const odd = random.oneIn(60);
        const physical = BigInt(odd ? random.below(2 ** 25) : start);
        if (odd) told.push(`a segment at 0x${start.toString(16)} is at 0x${physical.toString(16)}`);
        return { physical, data };
      });
      return [damageBytes(random, writeElf({ loads, notes }), told)];
    }
    const as = random.pick(COMPRESSIONS);
    const memory = new Map<number, BlockSpec>();
    const target = random.pick([...pages.keys()]);
    for (const [frame, data] of pages) memory.set(frame, { data, as });
    if (random.oneIn(3)) {
      memory.set(target, bomb(random, compress(pages.get(target)!, as), told));
    }
    const blocks = 8192;
    const version = random.oneIn(3) ? random.below(8) : 6;
    const spec = {
      blocks,
      memory,
      version,
      status: random.oneIn(3) ? random.below(64) : 0,
      dumpLevel: random.pick([0, 31]),
      ...(vmcoreinfo === undefined ? {} : { vmcoreinfo }),
    };
    if (format === 'split') {
      const middle = random.below(blocks);
      const ranges = [
        { start: 0, end: middle },
        { start: random.oneIn(4) ? random.below(blocks) : middle, end: blocks },
      ];
      return ranges.map((split) => damageBytes(random, joinExtents(diskdumpExtents({ ...spec, split })), told));
    }
    const extents = diskdumpExtents(spec);
    const bytes = format === 'flat' ? flatten(extents) : joinExtents(extents);
    return [damageBytes(random, bytes, told)];
  }
}

/** Adjacent pages, one segment each. */
function joined(pages: ReadonlyMap<number, Uint8Array>): { start: number; data: Uint8Array }[] {
  const runs: { start: number; parts: Uint8Array[] }[] = [];
  for (const frame of [...pages.keys()].sort((a, b) => a - b)) {
    const last = runs[runs.length - 1];
    if (last && last.start + last.parts.length * PAGE === frame * PAGE) {
      last.parts.push(pages.get(frame)!);
    } else {
      runs.push({ start: frame * PAGE, parts: [pages.get(frame)!] });
    }
  }
  return runs.map(({ start, parts }) => ({ start, data: Buffer.concat(parts) }));
}

/** Types that contain themselves, refer to nothing, or are larger than memory. */
function damagedTypes(random: Random, told: string[]): Uint8Array {
  const btf: BtfWriter = someTypes();
  const anyId = () => (random.oneIn(12) ? random.below(2 ** 32) : random.below(btf.endId + 12));
  const names = ['', 'outer', 'page', 'inner', 'sk_buff', 'evil\x1b[2J', '\u009b31m', 'list_head'];
  for (let count = 4 + random.below(20); count > 0; count--) {
    const name = random.pick(names);
    switch (random.below(8)) {
      case 0:
        btf.array(anyId(), random.pick([0, 1, 3, 200, 65_536, 2 ** 31, 2 ** 32 - 1]), anyId());
        break;
      case 1:
        btf.pointer(anyId());
        break;
      case 2:
        btf.typedef(name, anyId());
        break;
      case 3:
        btf.const(anyId());
        break;
      case 4:
        btf.raw(name, random.below(24), random.below(6), random.oneIn(2), anyId());
        break;
      case 5:
        btf.prototype(anyId(), [{ name, type: anyId() }]);
        break;
      default: {
        const members = Array.from({ length: random.below(6) }, (_, index) => ({
          name: random.pick(names),
          type: anyId(),
          bitOffset: random.oneIn(6) ? random.below(2 ** 24) : index * 64,
          ...(random.oneIn(4) ? { bits: random.below(256) } : {}),
        }));
        const size = random.pick([0, 8, 64, 4096, 2 ** 31, 2 ** 32 - 1]);
        if (random.oneIn(3)) btf.union(name || 'outer', size, members);
        else btf.struct(name || 'outer', size, members);
      }
    }
  }
  told.push('damaged types');
  return btf.build();
}

function damagedText(random: Random, text: string, told: string[]): string {
  const lines = text.split('\n');
  if (random.oneIn(3)) lines.push('CRASHTIME=1763612345', 'BUILD-ID=0123456789abcdef');
  for (let times = 1 + random.below(4); times > 0; times--) {
    const index = random.below(lines.length);
    const line = lines[index]!;
    const [key = '', value = ''] = line.split('=');
    const wild = random.pick([
      '',
      '-1',
      '0',
      '0x',
      'ffffffffffffffff',
      '18446744073709551616',
      '9'.repeat(400),
      '1e308',
      'NaN',
      `${value}\x1b[31m`,
      `${value}\u009b`,
      random.below(2 ** 31).toString(random.oneIn(2) ? 16 : 10),
      'A'.repeat(100_000),
    ]);
    lines[index] = random.pick([`${key}=${wild}`, `${key}=${wild}`, wild, `${line}\n${key}=${wild}`]);
    told.push(`VMCOREINFO ${key}=${wild.slice(0, 40)}`);
    if (random.oneIn(6)) lines.splice(random.below(lines.length), 1 + random.below(4));
  }
  const whole = lines.join(random.oneIn(10) ? '\r\n' : '\n');
  return random.oneIn(8) ? whole.slice(0, random.below(whole.length)) : whole;
}
