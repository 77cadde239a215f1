// Extracts: selects the bytes of a dump that its answers need, and writes a dump of just these. It asks the
// questions of walk/ and account/ over a recording kernel. It must not know the layout of sockets (whatever
// is read is kept), how formats are read, or how anything is shown.
import path from 'node:path';
import { ExtractError, KernelError, ReadError } from '../base/errors.js';
import { checkOutput, OutputError, OutputFile } from '../base/output-file.js';
import type { ExtractAnswer } from '../contracts/extract.js';
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
import { readDirectMapTables, readForDebuggers } from './debuggers/debuggers.js';
import { kernelVersion } from './debuggers/variables.js';
import { KeptPages } from './kept-pages.js';
import { identityOf, truePlaces, writeMap } from './map/write.js';
import { forgetOrderOfNames, infoText, keptNotes, packTables, readLog, readTables } from './notes.js';
import { bytesOfPage, RecordingImage, settle } from './page-bytes.js';
import { attempt, readEverything, type Scope } from './questions.js';
import { type Compression, compressor } from './write/compress.js';
import { type DumpHead, writeDiskdump } from './write/diskdump.js';

export interface ExtractOptions extends Scope {
  /** Files with which the kernel was opened, if it lacks symbols or types. */
  readonly files?: Pick<NativeOptions, 'symbols' | 'types' | 'vmlinux'>;
  readonly output: string;
  /** Replace an existing file. */
  readonly force?: boolean;
  readonly compression: Compression;
  readonly anonymize?: boolean;
  /** File for the map of replacements; needs `anonymize`. */
  readonly map?: string;
  /** Whether to keep the kernel log. */
  readonly log?: boolean;
  /** Called now and then with the current step. */
  readonly onProgress?: (words: string) => void;
}

/** makedumpfile's dump level that excludes all optional pages: zero, cache, private, user and free pages. */
const DUMP_LEVEL = 31;

/** Data that no extract anonymizes. */
const STAYS = ['ports', 'pids', 'inodes', 'kernel-threads', 'modules', 'build', 'crash-time'] as const;

/**
 * Writes a dump that contains only the bytes that kdump-mem reads to answer its queries, and those that crash
 * and drgn need to open it. The other bytes of a page are not kept.
 *
 * @param kernel the dump, opened without recording; stays open
 * @throws {ExtractError} if it cannot be written; {@link WalkError} if an object requested in `options` does
 * not exist; {@link KernelError} or {@link ReadError} if the dump cannot be read
 */
export async function extract(kernel: NativeKernel, options: ExtractOptions): Promise<ExtractAnswer> {
  const { map, output, force = false } = options;
  if (map === undefined) return cut(kernel, options);
  checkOutput(output, force, kernel.image.facts.files);
  checkOutput(map, force, kernel.image.facts.files);
  if (path.resolve(map) === path.resolve(output))
    throw new OutputError('exists', `${map}: also the output (the map must be another file)`);
  // Created first: without its map no extract is started.
  const file = new OutputFile(map, force);
  try {
    return await cut(kernel, options, file);
  } finally {
    file.discard();
  }
}

async function cut(kernel: NativeKernel, options: ExtractOptions, map?: OutputFile): Promise<ExtractAnswer> {
  const progress = options.onProgress ?? (() => {});
  const compress = await compressor(options.compression);
  const { output, force = false } = options;
  const { image, vmcoreinfo } = kernel;
  checkOutput(output, force, image.facts.files);
  const kept = new KeptPages(kernel.facts.pageSize);
  const recorded = new RecordingImage(image, infoText(vmcoreinfo), kept);
  const recording = openNativeImage(recorded, options.files, image);
  progress('reading kernel tables');
  readTables(recording);
  progress('running every command');
  const visited = readEverything(recording, options, kernel);
  const isStored = storedIn(image);
  const store = (address: bigint): void => {
    const physical = recording.physicalOf(address);
    if (physical !== undefined && isStored(physical)) kept.store(physical);
  };
  readForDebuggers(recording, store);
  let log = (options.log ? 'unreadable' : 'left-out') as ExtractAnswer['log'];
  attempt(() => {
    readLog(recording, store, options.log ?? false);
    if (options.log) log = 'kept';
  });
  forgetOrderOfNames(kernel, kept);
  keepConstantsWhole(kernel, kept);
  const arch = architectureOf(recorded, vmcoreinfo);
  readDirectMapTables(kernel, arch, kept.pages);

  const anonymized = options.anonymize ?? false;
  const { patches: made, names } = anonymous(kernel, visited, kept);
  const patches = anonymized ? made : new Map();
  progress('compressing kernel tables');
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
    (done, bytes) => progress(`page ${done} of ${numbers.length}, ${(bytes / 2 ** 20).toFixed(1)} MiB`),
  );
  if (map !== undefined) writeMap(map, await identityOf(output), names, truePlaces(image, kept, patches));
  const packedBytes = packed.reduce((sum, { start, end }) => sum + (end - start), 0);
  return {
    schema: 'kdump-mem.extract/1',
    file: output,
    sizeBytes: size,
    pages: numbers.length + packedBytes / kept.pageSize,
    partialPages,
    sockets: visited.sockets.length,
    anonymized,
    names: names.counts(anonymized),
    stays: [...STAYS, ...(log === 'kept' ? (['log'] as const) : [])],
    release: kernel.facts.release,
    crashTime: vmcoreinfo.crashTime ?? null,
    log,
    map: options.map ?? null,
    warnings: kernel.doubts,
  };
}

/** @throws {ExtractError} `cannot-write` if a dump with these notes could not be opened */
function checkReadable(notes: readonly Note[]): void {
  try {
    keptBytesOf(notes);
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause;
    const message = 'the extract would be too large (--pid selects one process)';
    throw new ExtractError('cannot-write', message, { cause });
  }
}

function headOf(kernel: NativeKernel, machine: string, more: readonly Note[], stacks: boolean): DumpHead {
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

/** Returns whether a dump has any data of the page of a physical address. */
function storedIn(image: MemoryImage): (physical: number) => boolean {
  const bounds: number[] = [];
  for (const { start, end } of image.facts.physicalRanges) bounds.push(start, end);
  const sorted = Float64Array.from(bounds);
  // Starts have even indices, ends have odd ones.
  return (physical) => lastAtOrBelow(sorted, physical) % 2 === 0;
}

/** Numbers of the pages below `limit` that exist according to the dump. */
function* existing(image: MemoryImage, kept: KeptPages, limit: number) {
  const { pageSize } = kept;
  for (const { start, end } of image.facts.existingRanges ?? image.facts.physicalRanges) {
    const first = Math.floor(start / pageSize);
    if (first < limit) yield { start: first, end: Math.min(limit, Math.ceil(end / pageSize)) };
  }
  for (const page of kept.missing) if (page < limit) yield { start: page, end: page + 1 };
}

/** Upper bound of a kernel's constants, in bytes. */
const MAX_BYTES = 256n << 20n;

/**
 * Keeps partly kept constants of the kernel image completely: they are the same in every copy of this build,
 * contain no user data, and a search must find complete tables. Variables that become constants after boot
 * (`__ro_after_init`) are excluded.
 */
function keepConstantsWhole(kernel: NativeKernel, kept: KeptPages): void {
  const pageSize = BigInt(kernel.facts.pageSize);
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (start === undefined || end === undefined || end - start > MAX_BYTES) return;
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
