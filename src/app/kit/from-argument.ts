import { type Command, type CommandUnknownOpts, InvalidArgumentError, Option, type OptionValues } from 'commander';
import type { BootChoice } from '../../log/boots.js';
import type { OptionsOf } from './arguments.js';
import { snapshotAdvice } from './commands.js';
import { UsageError } from './failure.js';
import { KERNEL_FILES, type SourceOptions } from './kernel-source.js';

/** Options of a command that accepts a snapshot instead of a kernel. */
export type FromOptions = OptionsOf<typeof addFromOption<[], SourceOptions>>;

/** Options that name a kernel, or files for reading one. */
const OF_KERNELS = ['vmcore', 'live', 'btf', ...KERNEL_FILES];

/** @param others options of the command that cannot be combined with --from */
export function addFromOption<A extends unknown[], O extends OptionValues>(
  command: Command<A, O>,
  others: readonly string[] = [],
) {
  const excluded = [...OF_KERNELS, ...others];
  return command
    .addOption(
      new Option('--from <file>', 'snapshot to read instead of a kernel (see kdump-mem snapshot)')
        .argParser(parseFrom)
        .conflicts(excluded),
    )
    .hook('preAction', (_, invoked) => takeSnapshot(invoked, excluded));
}

/**
 * Accepts a snapshot, or text that people pasted, among the arguments as if it followed `--from`.
 *
 * @throws {UsageError} combined with an option that --from excludes
 */
async function takeSnapshot(invoked: CommandUnknownOpts, excluded: readonly string[]): Promise<void> {
  const [file, ...others] = (invoked.opts() as Partial<SourceOptions>).vmcore ?? [];
  if (file === undefined || others.length > 0 || file !== invoked.args[0]) return;
  const { looksCaptured } = await import('../../host/recognise.js');
  if (!looksCaptured(file) && !(await isPasted(file, invoked))) return;
  const other = invoked.options.find((option) => {
    const name = option.attributeName();
    return name !== 'vmcore' && excluded.includes(name) && invoked.getOptionValueSource(name) === 'cli';
  });
  if (other) throw new UsageError(`${other.long} does not apply to the snapshot ${file}`);
  invoked.setOptionValue('vmcore', undefined);
  invoked.setOptionValueWithSource('from', file, 'cli');
}

/** Whether a file is pasted text. Commands with `--boot` read texts themselves. @throws {HostError} no part is used */
async function isPasted(file: string, { options }: CommandUnknownOpts): Promise<boolean> {
  if (options.some(({ long }) => long === '--boot')) return false;
  const { pastedFiles } = await import('../../capture/read/saved-texts.js');
  return (await pastedFiles([file])) !== undefined;
}

function parseFrom(file: string): string {
  // Typically from an unset variable in a script.
  if (file === '') throw new InvalidArgumentError('The file name is empty.');
  return file;
}

/** Adds `--boot`, for commands that accept text logs. */
export function addBootOption<A extends unknown[], O extends OptionValues>(command: Command<A, O>) {
  return command.addOption(
    new Option('--boot <boot>', 'boot to read from a text log: 0 last, -1 previous, 1 first, or a boot ID').argParser(
      parseBoot,
    ),
  );
}

/** @throws {UsageError} if --boot is given: a dump, kernel or snapshot contains only one boot */
export function checkBoot({ boot }: { readonly boot?: BootChoice }): void {
  if (boot !== undefined) throw new UsageError('--boot applies only to text logs');
}

/** Parses `--boot` in the syntax of journalctl. */
function parseBoot(text: string): BootChoice {
  const id = text.replaceAll('-', '').toLowerCase();
  if (/^[0-9a-f]{32}$/.test(id)) return { id };
  if (/^[+-]?\d{1,9}$/.test(text)) return { number: Number(text) };
  throw new InvalidArgumentError('It must be 0 (last boot), -1 (previous), 1 (first), or a boot ID.');
}

/** Makes commands that do not accept snapshots reject --from with advice on which command does. */
export function refuseFrom(program: Command): void {
  for (const command of program.commands) {
    const { options } = command;
    if (options.some(({ long }) => long === '--from')) continue;
    if (!options.some(({ long }) => long === '--vmcore')) continue;
    const name = command.name();
    const refuse = (): never => {
      throw new UsageError(
        `${name} reads kernel memory, which a snapshot does not contain`,
        `${snapshotAdvice(name) ?? 'memory, procs, log, blocked, triage and skcheck accept --from'}.`,
      );
    };
    command.addOption(new Option('--from <file>').argParser(refuse).hideHelp());
  }
}

/** @throws {UsageError} if --engine is given with --from: engines read only kernels */
export function checkFrom({ from, engine }: FromOptions): void {
  if (from !== undefined && engine !== 'auto') throw new UsageError('--engine does not apply to --from');
}

/** Sources of memory data of a running kernel, the most detailed first. */
export const LIVE_SOURCES = ['kcore', 'pageflags', 'counters'] as const;

export type LiveSource = (typeof LIVE_SOURCES)[number];

export type LiveOptions = FromOptions & {
  /** The required source; by default the first that can be opened. */
  readonly source?: LiveSource;
};
