import type { Command } from 'commander';
import { hexDump, holeWords, mayBeZero, readJson } from '../../answers/read/render.js';
import { ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { partialPages } from '../../kernel/native/image/elf/elf.js';
import type { MemoryImage } from '../../kernel/native/image/image.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { type MemoryHole, type MemoryPiece, memoryPieces } from '../../walk/pages/memory-pieces.js';
import { findPlace, type Place, type WrittenPlace } from '../../walk/values/place.js';
import type { Warning } from '../../walk/warnings.js';
import { type OptionsOf, parseWritten, sizeFrom } from '../kit/arguments.js';
import { besideDumps } from '../kit/dump-arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { addSourceOptions, openNativeSource, openSource, openSourceImage } from '../kit/kernel-source.js';
import { printStream, printWarnings } from '../kit/output.js';

const EXAMPLES = `
ADDR is hex, with or without 0x; +OFFSET is decimal, or hex with 0x. SYMBOL:CPU is a
per-CPU variable of one CPU.

Examples:
  kdump-mem read linux_banner --vmcore vmcore
  kdump-mem read init_task+0x10 --length 64 --vmcore vmcore
  kdump-mem read ffff8f07c2592700 --length 4k --raw --vmcore vmcore > object
  kdump-mem read --phys 0x1000 --vmcore vmcore

Exit status: 0 answered, 2 wrong usage, 3 the dump could not be opened, or none of the range could
be read (with --raw: not all of it), 4 no such symbol, 5 (with --strict) something is missing.`;

const parseLength = sizeFrom(1, '1 at least');

function declareRead(program: Command) {
  return addSourceOptions(program.command('read'), ['crash'])
    .description('print memory at an address or symbol, in hex or raw')
    .option('--phys', 'ADDR is physical (for any dump that opens)')
    .option('--length <size>', 'number of bytes; decimal or 0x hex, with k, M or G', parseLength, 256)
    .option('--raw', 'write raw bytes; fails if any is missing')
    .option('--zero-excluded', 'show memory that is not in the dump as zeros')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES);
}

type ReadOptions = OptionsOf<typeof declareRead>;

/** Registers `kdump-mem read`, which prints memory as hex or raw bytes. */
export function registerRead(program: Command): void {
  const command = declareRead(program);
  command
    .argument(
      '<place>',
      'ADDR, SYMBOL or SYMBOL:CPU, each with +OFFSET',
      besideDumps(() => command, parseWritten),
    )
    .action(async (written, options) => {
      if (options.raw && options.json) throw new UsageError('--raw and --json exclude each other');
      const source = await openRange(written, options);
      try {
        await printRange(source, options);
      } finally {
        source.close();
      }
    });
}

/** A range of memory, ready to be read. */
interface Range {
  readonly place: Place;
  readonly page: number;
  read(address: bigint, length: number): DataView;
  /** See memoryPieces. */
  isPartial?(address: bigint): boolean;
  close(): void;
}

async function openRange(written: WrittenPlace, options: ReadOptions): Promise<Range> {
  if (options.phys) {
    if (options.engine === 'crash') throw new UsageError('--phys does not support --engine crash');
    const { number, offset } = written;
    if (number === undefined || written.cpu !== undefined)
      throw new UsageError(`--phys needs a physical address in hex, not ${written.base}`);
    const image = await openSourceImage(options);
    const read = (address: bigint, length: number) => readPhysical(image, address, length);
    const partial = partialPages(image);
    return {
      place: { address: number + offset },
      page: 4096,
      read,
      isPartial: (at) => partial(Number(at)),
      close: () => image.close(),
    };
  }
  if (options.engine === 'crash') return kernelRange(await openSource(options), written);
  const kernel = await openNativeSource(options);
  const partial = partialPages(kernel.image);
  const { pageSize } = kernel.facts;
  const isPartial = (at: bigint) => {
    const physical = physicalOf(kernel, at - (at % BigInt(pageSize)));
    if (physical === undefined) return false;
    for (let into = 0; into < pageSize; into += 4096) if (partial(physical + into)) return true;
    return false;
  };
  return { ...kernelRange(kernel, written), isPartial };
}

/** Returns the physical address; undefined also if the page tables cannot be read. */
function physicalOf(kernel: NativeKernel, address: bigint): number | undefined {
  try {
    return kernel.physicalOf(address);
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    return undefined;
  }
}

function kernelRange(kernel: Kernel, written: WrittenPlace): Range {
  try {
    return {
      place: findPlace(kernel, written),
      page: kernel.facts.pageSize,
      read: (address, length) => kernel.read(address, length),
      close: () => kernel.close(),
    };
  } catch (error) {
    kernel.close();
    throw error;
  }
}

/** Physical addresses have 52 bits at most. */
const PHYSICAL_END = 2n ** 52n;

function readPhysical(image: MemoryImage, address: bigint, length: number): DataView {
  if (address + BigInt(length) > PHYSICAL_END) throw new ReadError('absent', address);
  return image.readPhysical(Number(address), length);
}

async function printRange(range: Range, options: ReadOptions): Promise<void> {
  const { place } = range;
  const { length, raw, json } = options;
  if (place.address + BigInt(length) > 2n ** 64n)
    throw new UsageError(`${length} bytes from ${hex(place.address)} exceed the address space`);
  const seen = new HoleRecorder(options.zeroExcluded ?? false);
  const pieces = () => seen.watch(memoryPieces(range.read, place.address, length, range.page, range.isPartial));
  if (raw) {
    // Raw output cannot mark holes, so nothing is written until all bytes are known to be available.
    for (const piece of pieces()) if (piece.kind === 'hole') throw incomplete(piece);
    seen.forget();
    await printStream(rawBytes(pieces()));
  } else if (json) {
    const { address, ...symbol } = place;
    const space = options.phys ? 'physical' : 'virtual';
    const head = { address: hex(address), space, ...symbol, length } as const;
    await printStream(readJson(head, pieces(), () => seen.complete));
  } else {
    await printStream(hexDump(pieces()));
  }
  printWarnings(seen.warnings());
  if (!seen.anything) process.exitCode = EXIT.unreadable;
  else if (options.strict && !seen.complete) process.exitCode = EXIT.incomplete;
}

function* rawBytes(pieces: Iterable<MemoryPiece>): Generator<Uint8Array> {
  for (const piece of pieces) {
    // The memory of a live kernel may have changed since the check.
    if (piece.kind === 'hole') throw incomplete(piece);
    yield piece.bytes;
  }
}

function incomplete(hole: MemoryHole): ReadError {
  const advice = mayBeZero(hole) ? '; --zero-excluded writes zeros there' : '';
  const table = hole.behindTable ? 'a page table on the way; ' : '';
  return new ReadError(hole.code, hole.address, `${table}--raw needs all bytes${advice}`);
}

/** Maximum number of holes that are listed individually. */
const MAX_LISTED = 50;
/** Block of zeros that is written for holes. */
const ZEROS = new Uint8Array(65536);

/** Records holes, and replaces them by zeros if requested. */
class HoleRecorder {
  anything = false;
  complete = true;
  readonly #zero: boolean;
  #holes: MemoryHole[] = [];
  #more = 0;

  constructor(zero: boolean) {
    this.#zero = zero;
  }

  *watch(pieces: Iterable<MemoryPiece>): Generator<MemoryPiece> {
    for (const piece of pieces) {
      if (piece.kind === 'bytes') {
        this.anything = true;
        yield piece;
        continue;
      }
      this.complete = false;
      if (this.#holes.length < MAX_LISTED) this.#holes.push(piece);
      else this.#more++;
      if (this.#zero && mayBeZero(piece)) yield* this.#zeros(piece);
      else yield piece;
    }
  }

  forget(): void {
    this.#holes = [];
    this.#more = 0;
  }

  warnings(): Warning[] {
    const messages = this.#holes.map((hole) => {
      const zeros = this.#zero && mayBeZero(hole) ? ', shown as zeros' : '';
      return `${hex(hole.address)}: ${holeWords(hole)}${zeros}`;
    });
    if (this.#more > 0) messages.push(`${this.#more} more such ranges`);
    return messages.map((message) => ({ code: 'unreadable', message }));
  }

  *#zeros({ address, length }: MemoryHole): Generator<MemoryPiece> {
    this.anything = true;
    for (let done = 0; done < length; done += ZEROS.length) {
      const bytes = ZEROS.subarray(0, length - done);
      yield { kind: 'bytes', address: address + BigInt(done), bytes };
    }
  }
}
