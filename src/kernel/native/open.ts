import { KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { KernelFacts } from '../kernel.js';
import { UTS, UTS_BYTES } from '../layout.js';
import type { Architecture, Bases, RegionResult } from './arch/arch.js';
import { Arm64 } from './arch/arm64.js';
import { X86_64 } from './arch/x86_64.js';
import type { MemoryImage } from './image/image.js';
import { openImage } from './image/open.js';
import { NativeKernel } from './kernel.js';
import { KernelMemory } from './memory.js';
import { type Found, ISF_CAVEAT, type TypesFile } from './provenance.js';
import { RecoveredSymbols } from './recovered/recovered-symbols.js';
import { onlyAddress, type SymbolTable } from './symbols.js';
import { findSymbols } from './symbols-source.js';
import { findTypes } from './types-source.js';
import { findVmcoreinfo, Vmcoreinfo } from './vmcoreinfo.js';

export interface NativeOptions {
  /** The dump: one file, or all parts of a split dump. Ignored if `live`. */
  readonly files: readonly string[];
  /** The running kernel, through /proc/kcore. */
  readonly live?: boolean;
  /** A System.map of this kernel, used instead of its kallsyms. */
  readonly symbols?: string;
  /**
   * Types of this kernel, used instead of its own: raw BTF or an ELF file with a `.BTF` section; any
   * other file is opened by `openTypesFile`.
   */
  readonly types?: string | TypesFile;
  /** A vmlinux of this kernel: source of symbols and types, if it contains them. */
  readonly vmlinux?: string;
}

export type Files = Pick<NativeOptions, 'symbols' | 'types' | 'vmlinux'>;

/**
 * Opens a dump, or the running kernel, without other programs.
 *
 * Missing symbols or types are no error here: `provenance` reports them, and looking one up throws.
 *
 * @throws {KernelError} when it is not a dump, or its kernel cannot be read; `wrong-vmlinux` when a
 * given file belongs to another kernel
 */
export function openNative(options: NativeOptions): NativeKernel {
  const image = openImage(options.live ? ['/proc/kcore'] : options.files);
  try {
    return openNativeDump(image, options);
  } catch (error) {
    image.close();
    throw error;
  }
}

/** Like openNative, for an image that is open already. Does not close it on errors. */
export function openNativeDump(image: MemoryImage, files: Files = {}): NativeKernel {
  try {
    return openNativeImage(image, files);
  } catch (error) {
    throw explainTruncation(image, error);
  }
}

/** Truncation of the file explains more than the read errors that it causes. */
function explainTruncation({ facts }: MemoryImage, error: unknown): unknown {
  const cut = facts.anomalies.find((anomaly) => anomaly.startsWith('truncated'));
  if (cut === undefined || !(error instanceof KernelError) || error.code === 'wrong-vmlinux') return error;
  return new KernelError('truncated', `${facts.files.join(', ')}: ${cut}`, { cause: error });
}

/** Errors that mean that a VMCOREINFO does not belong to the running kernel. */
const STALE: ReadonlySet<string> = new Set(['damaged', 'unsupported-layout', 'unsupported-arch']);

/**
 * Like openNative, for an image that is open already. Does not close it on errors.
 *
 * @param search an image of the same memory, for reads that only search for tables
 */
export function openNativeImage(image: MemoryImage, files: Files = {}, search: MemoryImage = image): NativeKernel {
  if (image.vmcoreinfo !== undefined) return openWith(image, new Vmcoreinfo(image.vmcoreinfo), 'note', files, search);
  let failure: KernelError | undefined;
  const progress = { searched: 0, complete: false };
  for (const text of findVmcoreinfo(search, progress)) {
    try {
      return openWith(image, new Vmcoreinfo(text), 'memory', files, search);
    } catch (error) {
      // A stale copy, left by a previously running kernel; errors of given files are the user's to fix.
      if (!(error instanceof KernelError) || !STALE.has(error.code)) throw error;
      failure ??= error;
    }
  }
  const where = progress.complete ? 'all memory' : `${Math.floor(progress.searched / 2 ** 20)} MiB of memory`;
  const mismatch = failure ? `; a copy does not match: ${failure.message}` : '';
  throw new KernelError(
    'unsupported-layout',
    `${image.facts.files.join(', ')}: VMCOREINFO not found (no such note, and ${where} searched${mismatch})`,
    { cause: failure },
  );
}

function signatureOf(info: Vmcoreinfo): Pick<KernelFacts, 'signatureMask'> {
  const signatureMask = info.number('KERNELPACMASK');
  return signatureMask === undefined || signatureMask === 0n ? {} : { signatureMask };
}

function openWith(
  image: MemoryImage,
  info: Vmcoreinfo,
  vmcoreinfo: 'note' | 'memory',
  files: Files,
  search: MemoryImage,
): NativeKernel {
  const anomalies: string[] = [];
  const arch = architectureOf(image, info);
  const memory = new KernelMemory(image, arch);
  checkRelease(memory, info, anomalies);

  const searched = search === image ? memory : new KernelMemory(search, architectureOf(search, info));
  const { table, found: symbols } = findSymbols(memory, arch, info, files, searched);
  const symbol = (name: string): bigint | undefined => table && onlyAddress(table.find(name));
  const bases = arch.settle({ symbol, read: (address, length) => memory.read(address, length) });
  memory.useDirectMap(bases.directMap.found);
  const {
    load,
    found: types,
    verified,
    own: ownTypes,
    place: typesAt,
  } = findTypes(memory, arch, info, symbol, files, searched);

  if (types.found && types.source === 'ISF') anomalies.push(ISF_CAVEAT);
  const facts: KernelFacts = {
    release: info.release ?? '',
    arch: arch.name,
    pageSize: arch.pageSize,
    source: image.facts.format === 'kcore' ? 'kcore' : 'vmcore',
    engine: 'native',
    live: image.facts.live,
    ...signatureOf(info),
  };
  const functionsOnly = table !== undefined && lacksVariables(table, info);
  const provenance = {
    vmcoreinfo,
    symbols: functionsOnly ? ofFunctions(symbols) : symbols,
    types,
    ...(verified === undefined ? {} : { typesVerified: verified }),
    ...foundBases(bases),
    paging: arch.paging,
    anomalies,
  };
  return new NativeKernel({
    image,
    info,
    memory,
    symbols: table,
    recover: functionsOnly
      ? (types) =>
          new RecoveredSymbols({
            memory,
            search: searched,
            arch,
            info,
            symbols: table,
            directMap: bases.directMap.found,
            types,
          })
      : undefined,
    types: load,
    ownTypes,
    typesAt,
    bases,
    facts,
    provenance,
  });
}

/**
 * Whether the symbols lack variables (CONFIG_KALLSYMS_ALL=n): one that every kernel has and VMCOREINFO
 * names is missing.
 */
function lacksVariables(table: SymbolTable, info: Vmcoreinfo): boolean {
  return info.symbol('init_uts_ns') !== undefined && table.find('init_uts_ns').length === 0;
}

function ofFunctions<T extends string>(functions: Found<T>): Found<T> {
  if (!functions.found) return functions;
  return { ...functions, detail: `${functions.detail}; functions only, variables from exported symbols` };
}

const RELEASE = UTS.release * UTS_BYTES;

/** Checks that the release in the kernel's memory is the one in VMCOREINFO. */
function checkRelease(memory: KernelMemory, info: Vmcoreinfo, anomalies: string[]): void {
  const address = info.symbol('init_uts_ns');
  const { release } = info;
  if (address === undefined || release === undefined) return;
  const nameOffset = info.offset('uts_namespace.name');
  // Before 5.11, which does not export the offset, a kref precedes the name.
  const offsets = nameOffset === undefined ? [0, 4, 8] : [nameOffset];
  try {
    const limit = Math.max(...offsets);
    if (limit > 4096) return;
    const view = memory.read(address, limit + RELEASE + UTS_BYTES);
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    const expected = Buffer.from(`${release}\0`, 'latin1');
    const matches = (offset: number): boolean => bytes.subarray(offset + RELEASE).indexOf(expected) === 0;
    if (offsets.some(matches)) return;
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    anomalies.push(`kernel release not verified: ${error.message}`);
    return;
  }
  throw new KernelError(
    'damaged',
    `VMCOREINFO does not match the memory (release ${release} not found in init_uts_ns)`,
  );
}

function foundBases(bases: Bases): { directMap: Found<'kernel'>; pages: Found<'kernel'> } {
  const sourceOf = (region: RegionResult<{ readonly address: bigint }>): Found<'kernel'> => {
    if (region.found === undefined) return { found: false, code: region.error.code, why: region.error.message };
    const detail = `${hex(region.found.address)}, from ${region.from}`;
    return { found: true, source: 'kernel', detail };
  };
  return { directMap: sourceOf(bases.directMap), pages: sourceOf(bases.pages) };
}

/**
 * Returns the architecture of a dump from its headers or, if they name no machine (some of QEMU's),
 * from VMCOREINFO numbers that only one architecture exports.
 *
 * @throws {KernelError} `unsupported-arch`, or the architecture's own error about VMCOREINFO
 */
export function architectureOf(image: MemoryImage, info: Vmcoreinfo): Architecture {
  const { machine, files } = image.facts;
  const has = (name: string): boolean => machine === undefined && info.number(name) !== undefined;
  if (machine === 'x86_64' || has('phys_base')) return new X86_64(image, info);
  if (machine === 'aarch64' || has('kimage_voffset')) return new Arm64(image, info);
  const description = machine === undefined ? 'not named by its headers or VMCOREINFO' : machine;
  throw new KernelError('unsupported-arch', `${files.join(', ')}: unsupported architecture (${description})`);
}
