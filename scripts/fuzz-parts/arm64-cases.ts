import { ReadError } from '../../src/base/errors.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNativeImage } from '../../src/kernel/native/open.js';
import {
  ARM64_MEMORY,
  type Arm64Kernel,
  type Arm64KernelOptions,
  arm64Kernel,
} from '../../test/support/arm64-kernel.js';
import { damagedImage, type PhysicalPatch } from '../../test/support/damaged-image.js';
import { damageWord, tellPatch, wildEntry } from './physical-damage.js';
import type { Random } from './random.js';
import { Broken, openWithin, refusal } from './rules.js';
import { wildValue } from './values.js';

const SHAPES: readonly Arm64KernelOptions[] = [
  { page: 4096, bits: 39 },
  { page: 4096, bits: 48 },
  { page: 4096, bits: 48, built: 52 },
  { page: 4096, bits: 52 },
  { page: 4096, bits: 48, upperHalf: true },
  { page: 4096, bits: 48, ram: 0x4001_0000, machine: undefined },
  { page: 4096, bits: 48, signature: 0xff7f_0000_0000_0000n },
  { page: 16_384, bits: 47, built: 52 },
  { page: 16_384, bits: 52 },
  { page: 65_536, bits: 42 },
  { page: 65_536, bits: 48, built: 52 },
  { page: 65_536, bits: 52, ram: 0x8_8000_0000 },
];

/** A synthetic kernel, opened once, and the addresses of its page tables. */
interface Made {
  readonly kernel: Arm64Kernel;
  readonly options: Arm64KernelOptions;
  readonly root: number;
  /** Physical addresses of entries in use. */
  readonly entries: readonly number[];
}

/**
 * Small arm64 kernels of every shape, damaged in VMCOREINFO, page tables and symbols: a kernel that opens
 * nevertheless must be read correctly.
 */
export class Arm64Cases {
  readonly #made = new Map<Arm64KernelOptions, Made>();

  /** A description of the damage and its outcome. @throws {Broken} */
  run(random: Random): readonly string[] {
    const made = this.#of(random.pick(SHAPES));
    const told = [shapeOf(made.options)];
    const patches: PhysicalPatch[] = [];
    let info = made.kernel.image.vmcoreinfo ?? '';
    const kind = random.below(3);
    if (kind !== 1) info = damagedInfo(random, info, told);
    if (kind !== 0) {
      for (let times = 1 + random.below(3); times > 0; times--) {
        const at = random.pick(made.entries);
        const value = (old: bigint) => wildEntry(random, old, made.root);
        patches.push(damageWord(random, made.kernel.image, at, value));
      }
      told.push(...patches.map(tellPatch));
    }
    return openWithin(told, () => {
      const kernel = openNativeImage(damagedImage(made.kernel.image, patches, info));
      ask(kernel, made, { tables: patches.length === 0, info: kind === 1 });
    });
  }

  #of(options: Arm64KernelOptions): Made {
    const known = this.#made.get(options);
    if (known) return known;
    const kernel = arm64Kernel({ ...options, sections: true });
    const root = Number(BigInt(rootOf(kernel)));
    const entries: number[] = [];
    const { page } = options;
    // Tables follow the top one, page by page, as the writer made them.
    for (let table = root; kernel.memory.pages.has(table / 4096); table += page) {
      const view = kernel.memory.read(table, page);
      let used = 0;
      for (let at = 0; at < page; at += 8) {
        if ((view.getUint32(at, true) & 1) === 0) continue;
        // A lowest table has thousands of similar entries.
        if (++used <= 8 || used % 256 === 0) entries.push(table + at);
      }
      if (used === 0) break;
    }
    const made = { kernel, options, root, entries };
    this.#made.set(options, made);
    return made;
  }
}

function shapeOf(options: Arm64KernelOptions): string {
  return Object.entries(options)
    .map(([key, value]) => `${key} ${typeof value === 'bigint' ? value.toString(16) : value}`)
    .join(', ');
}

function rootOf({ symbols, text, ram }: Arm64Kernel): number {
  const root = symbols.find(({ name }) => name === 'swapper_pg_dir')!.address;
  return Number(root - text) + ram + (8 << 20);
}

/** @throws {Broken} if an answer differs from that of the undamaged kernel */
function ask(
  kernel: NativeKernel,
  { kernel: made, options }: Made,
  sound: { readonly tables: boolean; readonly info: boolean },
): void {
  const { page } = options;
  const same = (what: string, ours: unknown, truth: unknown): void => {
    if (ours !== undefined && ours !== truth)
      throw new Broken('silent', `${what}: ${String(ours)} instead of ${String(truth)}`);
  };
  same('page size', kernel.facts.pageSize, page);
  // If PHYS_OFFSET is rejected, page tables are used instead, and damage in them leads elsewhere.
  if (sound.tables || kernel.provenance.directMap.found) {
    const at = made.ram + (41 << 20) + page + 77;
    const linear = made.linear(at);
    made.memory.page(at)[at % 4096] = 0x5a;
    same(
      'the linear map',
      orNot(() => kernel.read(linear, 1).getUint8(0)),
      0x5a,
    );
    same(
      'physicalOf',
      orNot(() => kernel.physicalOf(linear)),
      at,
    );
  }
  if (kernel.provenance.symbols.found) {
    for (const { name, address } of made.symbols) {
      same(
        name,
        orNot(() => kernel.symbol(name)),
        address,
      );
    }
  }
  // Wrong data in VMCOREINFO is detected by memory sections if page tables lead there.
  if (sound.tables || sound.info) {
    const frame = made.ram / page + 3;
    const address = made.page(frame);
    const linear = made.linear(frame * page);
    same(
      'pageOfFrame',
      orNot(() => kernel.pages.pageOfFrame(frame)),
      address,
    );
    same(
      'pageOf',
      orNot(() => kernel.pages.pageOf(linear)),
      address,
    );
    same(
      'addressOfPage',
      orNot(() => kernel.pages.addressOfPage(address)),
      linear,
    );
  }
  const beyond = made.linear(made.ram + 4 * ARM64_MEMORY);
  same(
    'beyond',
    orNot(() => kernel.pages.pageOf(beyond)),
    undefined,
  );
  const first = orNot(() => kernel.read(made.vmalloc, 1).getUint8(0));
  if (sound.tables) same('vmalloc', first, 1);
  for (const address of [made.vmalloc - 1n, made.text, 0n, (1n << 64n) - 8n]) orNot(() => kernel.read(address, 8));
  orNot(() => kernel.struct('page')?.size);
}

/** Undefined for unreadable memory; other errors are rethrown. */
function orNot<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    refusal(error);
    return undefined;
  }
}

/** Lines of VMCOREINFO that define the meaning of addresses. */
const SHAPING = [
  'NUMBER(VA_BITS)',
  'NUMBER(TCR_EL1_T1SZ)',
  'NUMBER(kimage_voffset)',
  'NUMBER(PHYS_OFFSET)',
  'NUMBER(VMEMMAP_START)',
  'NUMBER(KERNELPACMASK)',
  'SYMBOL(swapper_pg_dir)',
  'SYMBOL(_stext)',
  'PAGESIZE',
  'SIZE(page)',
];

function damagedInfo(random: Random, text: string, told: string[]): string {
  const lines = text.trimEnd().split('\n');
  for (let times = 1 + random.below(3); times > 0; times--) {
    const key = random.pick(SHAPING);
    const index = lines.findIndex((line) => line.startsWith(`${key}=`));
    if (index < 0) continue;
    const value = lines[index]!.slice(key.length + 1);
    const hex = key.startsWith('SYMBOL') || value.startsWith('0x');
    const old = BigInt(hex && !value.startsWith('0x') ? `0x${value}` : value);
    const next = random.pick([
      () => old + BigInt(random.below(33) - 16),
      () => old + (BigInt(random.below(9) - 4) << BigInt(random.below(40))),
      () => old ^ (1n << BigInt(random.below(64))),
      () => random.pick([0n, 12n, 16n, 25n, 36n, 39n, 42n, 47n, 48n, 52n, 64n]),
      () => random.pick([32n, 56n, 64n, 72n, 128n, 4096n, 16_384n, 65_536n]),
      () => wildValue(random, old, 8),
    ])();
    const word = BigInt.asUintN(64, next);
    const written = hex ? `${value.startsWith('0x') ? '0x' : ''}${word.toString(16)}` : `${next}`;
    lines[index] = random.oneIn(8) ? '' : `${key}=${written}`;
    told.push(`${key}: ${value} is ${lines[index] || 'left out'}`);
  }
  return `${lines.join('\n')}\n`;
}
