import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from './failure.js';
import type { SourceOptions } from './kernel-source.js';

/** Where a snapshot may be given in place of a kernel. */
export interface FromOptions extends SourceOptions {
  readonly from?: string;
}

/** Options that name a kernel, or help to read one. */
const OF_KERNELS = ['vmcore', 'live', 'vmlinux', 'symbols', 'btf', 'crash', 'map'];

/** @param others options of the command that mean nothing beside it */
export function addFromOption(command: Command, others: readonly string[] = []): Command {
  return command.addOption(
    new Option('--from <file>', 'a snapshot of a host (kdump-mem snapshot), instead of a kernel')
      .argParser(parseFrom)
      .conflicts([...OF_KERNELS, ...others]),
  );
}

function parseFrom(file: string): string {
  // A script's variable that is not set.
  if (file === '') throw new InvalidArgumentError('The file’s name is empty.');
  return file;
}

/** @throws {UsageError} for an engine, which reads kernels */
export function checkFrom({ from, engine }: FromOptions): void {
  if (from !== undefined && engine !== 'auto')
    throw new UsageError('--from reads a capture: it has no --engine');
}
