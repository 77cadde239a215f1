import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BootChoice } from '../../log/boots.js';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';

/** Where a snapshot may be given in place of a kernel. */
export interface FromOptions extends SourceOptions {
  readonly from?: string;
}

/** Options that name a kernel, or help to read one. */
const OF_KERNELS = ['vmcore', 'live', 'vmlinux', 'symbols', 'types', 'btf', 'crash', 'map'];

/** @param others options of the command that mean nothing beside it */
export function addFromOption(command: Command, others: readonly string[] = []): Command {
  return command.addOption(
    new Option('--from <file>', 'snapshot to read instead of a kernel (see kdump-mem snapshot)')
      .argParser(parseFrom)
      .conflicts([...OF_KERNELS, ...others]),
  );
}

function parseFrom(file: string): string {
  // A script's variable that is not set.
  if (file === '') throw new InvalidArgumentError('The file name is empty.');
  return file;
}

/** Where a log that is text may be named, one of its boots may be chosen. */
export function addBootOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--boot <boot>',
      'boot to read from a text log: 0 last, -1 previous, 1 first, or a boot ID',
    ).argParser(parseBoot),
  );
}

/** @throws {UsageError} a dump, a kernel or a snapshot has one boot */
export function checkBoot({ boot }: { readonly boot?: BootChoice }): void {
  if (boot !== undefined) throw new UsageError('--boot applies only to text logs');
}

/** `--boot`, as journalctl takes it. */
function parseBoot(text: string): BootChoice {
  const id = text.replaceAll('-', '').toLowerCase();
  if (/^[0-9a-f]{32}$/.test(id)) return { id };
  if (/^[+-]?\d{1,9}$/.test(text)) return { number: Number(text) };
  throw new InvalidArgumentError(
    'It must be 0 (last boot), -1 (previous), 1 (first), or a boot ID.',
  );
}

/** What to ask of a snapshot in place of a command that takes the kernel's memory. */
const IN_PLACE: Readonly<Record<string, string>> = {
  sockets: 'Run: skcheck --from FILE',
  skb: 'Run: skcheck --from FILE',
  stacks: 'A snapshot made with --with stacks has them as text, in its file sample-2/stacks',
  info: 'Run: kdump-mem triage --from FILE',
};

/** Has commands that take no snapshot say so, and what does. */
export function refuseFrom(program: Command): void {
  for (const command of program.commands) {
    const { options } = command;
    if (options.some(({ long }) => long === '--from')) continue;
    if (!options.some(({ long }) => long === '--vmcore')) continue;
    const name = command.name();
    const refuse = (): never => {
      throw new UsageError(
        `${name} reads kernel memory, which a snapshot does not contain`,
        `${IN_PLACE[name] ?? 'memory, procs, log, triage and skcheck accept --from'}.`,
      );
    };
    command.addOption(new Option('--from <file>').argParser(refuse).hideHelp());
  }
}

/** @throws {UsageError} for an engine, which reads kernels */
export function checkFrom({ from, engine }: FromOptions): void {
  if (from !== undefined && engine !== 'auto')
    throw new UsageError('--engine does not apply to --from');
}
