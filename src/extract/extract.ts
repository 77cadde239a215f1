// The room of `extract`: which bytes of a dump its answers take, and a dump of just these. It asks the
// questions of walk/ and account/ over a recorded kernel. It must not know how structs of sockets are
// laid out (what is read is what is kept), how formats are read, or how anything is shown.
import path from 'node:path';
import { ExtractError } from '../base/errors/extract.js';
import { KernelError, ReadError } from '../base/errors/kernel.js';
import { checkOutput, OutputError, OutputFile } from '../base/output-file.js';
import {
  architectureOf,
  keptBytesNotes,
  keptBytesOf,
  lastAtOrBelow,
  type MemoryImage,
  type NativeKernel,
  type NativeOptions,
  type Note,
  openNativeImage,
  packedPagesNote,
} from '../kernel/native/parts.js';
import { anonymous } from './anonymize/anonymous.js';
import type { Replacements } from './anonymize/replacements.js';
import { readDirectMapTables, readForDebuggers } from './debuggers/debuggers.js';
import { kernelVersion } from './debuggers/uts-names.js';
import { KeptPages } from './kept-pages.js';
import { readLog } from './log.js';
import { identityOf } from './map/identity.js';
import { truePlaces } from './map/places.js';
import { writeMap } from './map/write.js';
import { infoText, keptNotes } from './notes.js';
import { bytesOfPage, settle } from './page-bytes.js';
import { askEverything, attempt, type Scope } from './questions.js';
import { RecordingImage } from './recording-image.js';
import { forgetOrderOfNames, packTables, readTables } from './tables.js';
import { type Compression, compressor } from './write/compress.js';
import { type DumpHead, writeDiskdump } from './write/diskdump.js';

export interface ExtractOptions extends Scope {
  /** What the kernel was opened with, where it does not explain itself. */
  readonly files?: Pick<NativeOptions, 'symbols' | 'types' | 'vmlinux'>;
  readonly output: string;
  /** Replace a file that is there. */
  readonly force?: boolean;
  readonly compression: Compression;
  readonly anonymize?: boolean;
  /** Where to write what was replaced by what; needs `anonymize`. */
  readonly map?: string;
  /** Keep the kernel's log. */
  readonly log?: boolean;
  /** Told now and then what is being done. */
  readonly onProgress?: (words: string) => void;
}

export interface Extracted {
  /** Bytes of the file. */
  readonly size: number;
  readonly pages: number;
  /** Those of which only a part is kept. */
  readonly partialPages: number;
  /** Those that can be asked about. */
  readonly sockets: number;
  readonly anonymized: boolean;
  /** All names in it, and what stands or would stand in their place. */
  readonly names: Replacements;
  readonly release: string;
  /** Seconds since 1970. */
  readonly crashTime: number | undefined;
  readonly log: 'kept' | 'left-out' | 'unreadable';
}

/** makedumpfile's level for zero pages, cache, private, user and free pages: all that can be left out. */
const DUMP_LEVEL = 31;

/**
 * Writes a dump that holds what this program reads to answer its questions, and what crash and drgn
 * need to open it, and nothing else: of a page only the bytes that were read are kept.
 *
 * @param kernel the dump, opened without recording; stays open
 * @throws {ExtractError} when it cannot be written; {@link WalkError} when what `options` ask for is
 *   not there; {@link KernelError} or {@link ReadError} when the dump cannot be read
 */
export async function extract(kernel: NativeKernel, options: ExtractOptions): Promise<Extracted> {
  const { map, output, force = false } = options;
  if (map === undefined) return cut(kernel, options);
  checkOutput(output, force, kernel.image.facts.files);
  checkOutput(map, force, kernel.image.facts.files);
  if (path.resolve(map) === path.resolve(output))
    throw new OutputError('exists', `${map}: also the output (the map must be another file)`);
  // Made first: what cannot have its map is not begun.
  const file = new OutputFile(map, force);
  try {
    return await cut(kernel, options, file);
  } finally {
    file.discard();
  }
}

async function cut(
  kernel: NativeKernel,
  options: ExtractOptions,
  map?: OutputFile,
): Promise<Extracted> {
  const progress = options.onProgress ?? (() => {});
  const compress = await compressor(options.compression);
  const { output, force = false } = options;
  const { image, vmcoreinfo } = kernel;
  checkOutput(output, force, image.facts.files);
  const kept = new KeptPages(kernel.facts.pageSize);
  const recorded = new RecordingImage(image, infoText(vmcoreinfo), kept);
  const recording = openNativeImage(recorded, options.files, image);
  progress('reading the kernel’s tables');
  readTables(recording);
  progress('running every command');
  const asked = askEverything(recording, options);
  const isStored = storedIn(image);
  const store = (address: bigint): void => {
    const physical = recording.physicalOf(address);
    if (physical !== undefined && isStored(physical)) kept.store(physical);
  };
  readForDebuggers(recording, store);
  let log: Extracted['log'] = options.log ? 'unreadable' : 'left-out';
  attempt(() => {
    readLog(recording, store, options.log ?? false);
    if (options.log) log = 'kept';
  });
  forgetOrderOfNames(kernel, kept);
  keepConstantsWhole(kernel, kept);
  const arch = architectureOf(recorded, vmcoreinfo);
  readDirectMapTables(kernel, arch, kept.pages);

  const anonymized = options.anonymize ?? false;
  const { patches: made, names } = anonymous(kernel, asked, kept);
  const patches = anonymized ? made : new Map();
  progress('packing the kernel’s tables');
  const tables = packTables(kernel, kept, (page) => bytesOfPage(image, kept, page, patches));
  const packed = tables.flatMap(({ runs }) => runs);
  for (const { start, end } of packed)
    for (let at = start; at < end; at += kept.pageSize) kept.drop(at / kept.pageSize);
  const partialPages = settle(image, kept);
  const notes: Note[] = [];
  if (tables.length > 0) notes.push(packedPagesNote(kept.pageSize, tables));
  notes.push(...keptBytesNotes(kept.pageSize, kept.partial()));
  checkReadable(notes);
  const head = headOf(kernel, arch.machine, notes, options.stacks ?? false);
  const numbers = kept.pages;
  const size = await writeDiskdump(
    new OutputFile(output, force),
    head,
    {
      numbers,
      bytesOf: (page) => bytesOfPage(image, kept, page, patches),
      existing: (limit) => existing(image, kept, limit),
    },
    options.compression,
    compress,
    (done, bytes) =>
      progress(`page ${done} of ${numbers.length}, ${(bytes / 2 ** 20).toFixed(1)} MiB`),
  );
  if (map !== undefined)
    writeMap(map, await identityOf(output), names, truePlaces(image, kept, patches));
  const packedBytes = packed.reduce((sum, { start, end }) => sum + (end - start), 0);
  return {
    size,
    pages: numbers.length + packedBytes / kept.pageSize,
    partialPages,
    sockets: asked.sockets.length,
    anonymized,
    names,
    release: kernel.facts.release,
    crashTime: vmcoreinfo.crashTime,
    log,
  };
}

/** @throws {ExtractError} `cannot-write` if nobody could open what has these notes */
function checkReadable(notes: readonly Note[]): void {
  try {
    keptBytesOf(notes);
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause;
    const message = 'too much memory for one extract (--pid selects less)';
    throw new ExtractError('cannot-write', message, { cause });
  }
}

function headOf(
  kernel: NativeKernel,
  machine: string,
  more: readonly Note[],
  stacks: boolean,
): DumpHead {
  const { facts, vmcoreinfo, image } = kernel;
  const notes = keptNotes(image.notes ?? [], vmcoreinfo, stacks);
  return {
    pageSize: facts.pageSize,
    machine,
    release: facts.release,
    version: kernelVersion(kernel),
    physBase: vmcoreinfo.number('phys_base') ?? 0n,
    dumpLevel: DUMP_LEVEL,
    cpus: Math.max(1, notes.filter(({ name }) => name === 'CORE').length),
    notes: [...notes, ...more],
  };
}

/** Tells of a physical address whether a dump has any of its page. */
function storedIn(image: MemoryImage): (physical: number) => boolean {
  const bounds: number[] = [];
  for (const { start, end } of image.facts.physicalRanges) bounds.push(start, end);
  const sorted = Float64Array.from(bounds);
  // From a start to its end.
  return (physical) => lastAtOrBelow(sorted, physical) % 2 === 0;
}

/** Numbers of the pages below `limit` of which the dump says that they exist. */
function* existing(image: MemoryImage, kept: KeptPages, limit: number) {
  const { pageSize } = kept;
  for (const { start, end } of image.facts.existingRanges ?? image.facts.physicalRanges) {
    const first = Math.floor(start / pageSize);
    if (first < limit) yield { start: first, end: Math.min(limit, Math.ceil(end / pageSize)) };
  }
  for (const page of kept.missing) if (page < limit) yield { start: page, end: page + 1 };
}

/** Larger than any kernel's constants, in bytes. */
const MOST_BYTES = 256n << 20n;

/**
 * Keeps whole what is kept in part of the kernel image's constants: they are the same in every copy of
 * this build and nobody's data, and a search through them must find tables whole. Variables that
 * become constants after boot (`__ro_after_init`) are not among them.
 */
function keepConstantsWhole(kernel: NativeKernel, kept: KeptPages): void {
  const pageSize = BigInt(kernel.facts.pageSize);
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (start === undefined || end === undefined || end - start > MOST_BYTES) return;
  const variablesStart = kernel.symbol('__start_ro_after_init') ?? end;
  const variablesEnd = kernel.symbol('__end_ro_after_init') ?? end;
  const touched = new Set(kept.pages);
  for (let at = up(start, pageSize); at + pageSize <= end; at += pageSize) {
    if (at + pageSize > variablesStart && at < variablesEnd) continue;
    const physical = kernel.physicalOf(at);
    if (physical === undefined) continue;
    const page = Math.floor(physical / kernel.facts.pageSize);
    if (touched.has(page) && isThere(kernel, at)) kept.keepWhole(page);
  }
}

function isThere(kernel: NativeKernel, page: bigint): boolean {
  try {
    return kernel.read(page, kernel.facts.pageSize).byteLength > 0;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

function up(address: bigint, step: bigint): bigint {
  return ((address + step - 1n) / step) * step;
}
