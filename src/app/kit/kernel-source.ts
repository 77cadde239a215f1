import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { type Command, type CommandUnknownOpts, InvalidArgumentError, Option, type OptionValues } from 'commander';
import type { ProgressOf } from '../../account/references/search.js';
import { KernelError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { shellPath } from '../../base/shell.js';
import { missingFile } from '../../base/util.js';
import { isPacked, looksCaptured } from '../../host/recognise.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { MemoryImage } from '../../kernel/native/image/image.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import type { Files } from '../../kernel/native/open.js';
import type { TypesFile } from '../../kernel/native/provenance.js';
import type { OptionsOf } from './arguments.js';
import { snapshotNext } from './commands.js';
import { takeDumpArguments } from './dump-arguments.js';
import { UsageError } from './failure.js';
import { Progress } from './terminal.js';

/** Options that select a command's kernel, and how to read it; the same for all commands. */
export type SourceOptions = OptionsOf<typeof addSourceOptions>;

/** Readers that `--engine` names besides the native one. */
const OTHER_ENGINES = ['crash', 'verify'] as const;

type OtherEngine = (typeof OTHER_ENGINES)[number];

/** @param engines those that the command supports in addition to the native one; it refuses the others */
export function addSourceOptions(command: Command, engines: readonly OtherEngine[] = OTHER_ENGINES) {
  const taking = takeDumpArguments(command)
    .hook('preAction', (_, invoked) => checkEngine(invoked.name(), invoked.opts(), engines))
    .option('--vmcore <file>', 'dump to read (repeat for each part of a split dump)', collectFiles)
    .option('--live', 'read the running kernel instead of a dump (as root)')
    .addOption(
      new Option('--engine <engine>', 'reader: native (auto), crash, or verify, which compares both')
        .choices(['auto', 'native', 'crash', 'verify'])
        .default('auto'),
    )
    .option('--vmlinux <file>', 'kernel with debuginfo (required by crash)')
    .option('--symbols <file>', 'System.map to use instead of the dump’s symbols')
    .option('--crash <path>', 'crash program to run (default: crash)')
    .option('--map <file>', 'map that restores the names in an anonymized extract');
  return addTypesOption(taking);
}

/**
 * @param name command or option
 * @param engines as in addSourceOptions
 * @throws {UsageError} for an engine that it does not support
 */
export function checkEngine(
  name: string,
  { engine }: { readonly engine?: unknown },
  engines: readonly OtherEngine[] = [],
): void {
  const refused = OTHER_ENGINES.filter((other) => !engines.includes(other));
  if (!refused.some((other) => other === engine)) return;
  const instead = engines.length === 0 ? '' : `: use native or ${engines.join(' or ')}`;
  throw new UsageError(`${name} does not support --engine ${refused.join(' or ')}${instead}`);
}

/** Options that name files for reading a kernel. */
export const KERNEL_FILES = ['vmlinux', 'symbols', 'types', 'crash', 'map'] as const;

/** Options that name another source than this machine, or belong to one. */
const OTHER_SOURCES = ['vmcore', 'from', 'fromSamples', 'btf', ...KERNEL_FILES];

/** Whether crash is one of the requested readers. */
export function usesCrash({ engine }: Pick<SourceOptions, 'engine'>): boolean {
  return OTHER_ENGINES.some((other) => other === engine);
}

/** Makes this machine the source of a command that names no other, as `triage` does. */
export function liveByDefault<Declared extends CommandUnknownOpts>(command: Declared): Declared {
  const live = command.options.find(({ long }) => long === '--live');
  if (live) live.description = 'read this machine (default without a dump), its kernel memory as root';
  return command.hook('preAction', (_, invoked) => {
    const options = invoked.opts();
    if (options.live === undefined && namesNoSource(options)) invoked.setOptionValueWithSource('live', true, 'implied');
  });
}

/** Whether no option but `--live` names a source, or how to read one. */
export function namesNoSource(options: Readonly<Record<string, unknown>>): boolean {
  return options.engine === 'auto' && OTHER_SOURCES.every((name) => options[name] === undefined);
}

/** Adds `--types`, and `--btf`, its former name from when it supported only BTF. */
export function addTypesOption<A extends unknown[], O extends OptionValues>(command: Command<A, O>) {
  return command
    .option('--types <file>', 'types to use instead of the dump’s: BTF, vmlinux or .debug file, Volatility ISF')
    .addOption(new Option('--btf <file>', 'alias of --types').conflicts('types'))
    .hook('preAction', (_, invoked) => {
      const btf = invoked.getOptionValue('btf');
      if (btf !== undefined) invoked.setOptionValueWithSource('types', btf, 'cli');
    });
}

/** Collects the files of a repeatable option. */
export function collectFiles(file: string, files?: readonly string[]): readonly string[] {
  if (file.startsWith('--'))
    throw new InvalidArgumentError('The file name is missing (write ./ before a name that begins with -).');
  return [...(files ?? []), file];
}

/**
 * Opens the kernel that the options name, with the native engine unless crash is requested.
 *
 * @throws {UsageError} if they name none or two; {@link KernelError} if it cannot be opened.
 */
export async function openSource(
  options: SourceOptions,
  engine: 'native' | 'crash' = options.engine === 'crash' ? 'crash' : 'native',
): Promise<Kernel> {
  return engine === 'crash' ? openThroughCrash(options) : openNativeSource(options);
}

/**
 * Opens the same kernel with the native engine, for commands that need more than the walkers do.
 *
 * @throws as openSource does
 */
export async function openNativeSource(options: SourceOptions): Promise<NativeKernel> {
  const files = await sourceFiles(options);
  const { openNative, openNativeImage } = await import('../../kernel/native/open.js');
  const aids = await openedAids(options);
  if (options.map === undefined) return openNative({ files, live: options.live ?? false, ...aids });
  const image = await openSourceImage(options);
  try {
    return openNativeImage(image, aids);
  } catch (error) {
    image.close();
    throw error;
  }
}

/**
 * Opens the same kernel with the native engine for one question, and closes it.
 *
 * @param ask gets a progress line for each of its parts
 * @throws as openSource does, and what `ask` throws
 */
export async function withNativeSource<Found>(
  options: SourceOptions,
  ask: (kernel: NativeKernel, progress: ProgressOf) => Found | Promise<Found>,
): Promise<Found> {
  const kernel = await openNativeSource(options);
  const progress = new Progress();
  try {
    return await ask(kernel, (doing) => progress.of(doing));
  } finally {
    progress.clear();
    kernel.close();
  }
}

/**
 * Opens only the memory image, without identifying a kernel in it: works for any dump in a known format.
 *
 * @throws as openSource does
 */
export async function openSourceImage(options: SourceOptions): Promise<MemoryImage> {
  const files = await sourceFiles(options);
  const { openImage } = await import('../../kernel/native/image/open.js');
  const image = openImage(options.live ? ['/proc/kcore'] : files);
  if (options.map === undefined) return image;
  try {
    const { restored } = await import('../../extract/map/read.js');
    return await restored(image, options.map);
  } catch (error) {
    image.close();
    throw error;
  }
}

type Aids = Pick<SourceOptions, 'vmlinux' | 'symbols' | 'types'>;

/** Returns the given files for reading a dump. */
export function aids({ vmlinux, symbols, types }: Aids): Aids {
  return {
    ...(vmlinux === undefined ? {} : { vmlinux }),
    ...(symbols === undefined ? {} : { symbols }),
    ...(types === undefined ? {} : { types }),
  };
}

/**
 * Returns the same files, and opens types that are not BTF. The code for those is loaded only if needed.
 *
 * @throws {KernelError}
 */
export async function openedAids(options: Aids): Promise<Files> {
  const files = aids(options);
  const { types } = files;
  if (types === undefined || (await import('../../kernel/native/types-source.js')).isBtf(types)) return files;
  const { openTypesFile } = await import('../../kernel/native/foreign-types/open.js');
  const opened = typesFiles.get(types) ?? openTypesFile(types);
  typesFiles.set(types, opened);
  return { ...files, types: opened };
}

/**
 * Opened types files by path: some commands open a kernel more than once, and reading such a file takes
 * seconds.
 */
const typesFiles = new Map<string, TypesFile>();

/** Returns the files of the dump, and unpacks those that are compressed, or in an archive. */
async function sourceFiles(options: SourceOptions): Promise<readonly string[]> {
  const [{ dumpIn }, { isUnpacked, readUnpacked }] = await Promise.all([
    import('../../kernel/native/image/foreign.js'),
    import('../../kernel/native/image/byte-source.js'),
  ]);
  const files = checkSource(options).map(dumpIn);
  for (const file of files) {
    if (isUnpacked(file) || !isPacked(file)) continue;
    const { unpackedDump } = await import('../../capture/read/unpacked-dump.js');
    const progress = new Progress();
    try {
      readUnpacked(file, await unpackedDump(file, progress.of(`unpacking ${escapeText(file)}`)));
    } finally {
      progress.clear();
    }
  }
  return files;
}

function checkSource(options: SourceOptions): readonly string[] {
  const files = options.vmcore ?? [];
  if ((files.length === 0) === (options.live === undefined)) {
    throw new UsageError('use either --vmcore FILE or --live');
  }
  if (options.map !== undefined) checkMap(options, options.map);
  for (const file of files) {
    checkFile(file, 'not-a-dump');
    if (looksCaptured(file))
      throw new KernelError('not-a-dump', `${file} is a snapshot, not a kernel dump`, {
        next: `${snapshotNext(process.argv[2] ?? '', shellPath(file))}.`,
      });
  }
  for (const file of Object.values(aids(options))) checkFile(file, 'unsupported-format');
  if (options.live) checkKcore();
  return files;
}

function checkMap(options: SourceOptions, map: string): void {
  if (options.live) throw new UsageError('--map and --live cannot be combined');
  if (usesCrash(options)) throw new UsageError('--map requires the native engine');
  checkFile(map, 'wrong-map');
}

async function openThroughCrash(options: SourceOptions): Promise<Kernel> {
  const files = await sourceFiles(options);
  const { vmlinux, crash } = options;
  if (files.length > 1) {
    throw new UsageError('crash reads one file only. Join the parts: makedumpfile --reassemble');
  }
  const progress = new Progress();
  const [{ openCrash }, { bytesPath }] = await Promise.all([
    import('../../kernel/crash/open.js'),
    import('../../kernel/native/image/byte-source.js'),
  ]);
  try {
    return openCrash({
      vmcore: files[0] === undefined ? undefined : bytesPath(files[0]),
      vmlinux,
      crash,
      onWait: (seconds) => progress.show(`starting crash … ${seconds.toFixed(0)} s`),
    });
  } finally {
    progress.clear();
  }
}

/** @param unfit error code for anything except a file or directory */
function checkFile(file: string, unfit: 'not-a-dump' | 'unsupported-format' | 'wrong-map'): void {
  // Typically from an unset variable in a script.
  if (file === '') throw new UsageError('a file’s name is empty');
  try {
    accessSync(file, constants.R_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new KernelError('permission', `${file}: permission denied`, { cause });
    }
    throw new KernelError('no-such-file', noFile(file, code), { cause });
  }
  // Opening a FIFO would wait for a writer. A directory may contain a dump.
  const stat = statSync(file);
  if (!stat.isFile() && !stat.isDirectory()) {
    throw new KernelError(unfit, `${file}: not a regular file`);
  }
}

function noFile(file: string, code: string | undefined): string {
  if (file === '-') return 'standard input is not supported here (-)';
  return code === 'ENOENT' ? missingFile(file) : `${file}: open failed (${code})`;
}

function checkKcore(): void {
  if (!existsSync('/proc/kcore')) {
    const next = process.argv[2] === 'sockets' ? { next: 'Use skcheck, which reads sockets without it.' } : {};
    throw new KernelError(
      'no-live-memory',
      '/proc/kcore: not found (the kernel lacks it, or a container hides it)',
      next,
    );
  }
  checkFile('/proc/kcore', 'not-a-dump');
}

/** Returns the options that select the same source, for a printed command. */
export function sourceWords(options: SourceOptions & { readonly from?: string }): string {
  const { live, vmcore = [], map, from } = options;
  if (from !== undefined) return `--from ${shellPath(from)}`;
  const files = [...vmcore.map((file) => ['vmcore', file] as const), ...Object.entries(aids(options))];
  const named = [...files, ...(map === undefined ? [] : [['map', map] as const])];
  const words = named.map(([name, file]) => `--${name} ${shellPath(String(file))}`);
  return [...(live ? ['--live'] : []), ...words].join(' ');
}
