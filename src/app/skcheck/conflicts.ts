import type { Command } from 'commander';
import type { SkcheckOptions } from './request.js';

type Name = keyof SkcheckOptions;

/**
 * What means nothing beside an option. It is refused: what is passed over in silence would be answered
 * with something else than was asked for.
 */
const MEANINGLESS: Partial<Record<Name, readonly Name[]>> = {
  stale: ['verdict'],
  // A capture has the samples that it has, and its host is elsewhere.
  from: ['interval', 'samples', 'watch', 'procfs', 'census', 'exact', 'listen', 'memory'],
  // Metrics are of all that is found, whatever is listed.
  prometheus: ['stale', 'verdict', 'top', 'verbose', 'quiet', 'json', 'watch', 'listen'],
  listen: ['stale', 'verdict', 'top', 'verbose', 'quiet', 'json', 'watch'],
  json: ['verbose'],
};

/** What alone means something beside options that do not look. */
const ALONE: Partial<Record<Name, readonly Name[]>> = {
  capture: ['interval', 'force'],
  captureScript: [],
  doctor: ['json'],
};

/** Makes commander refuse options that mean nothing together. */
export function declareConflicts(command: Command): void {
  const names = command.options.map((option) => option.attributeName());
  for (const option of command.options) {
    const name = option.attributeName() as Name;
    const beside = ALONE[name] as readonly string[] | undefined;
    const others = beside && names.filter((each) => each !== name && !beside.includes(each));
    option.conflicts([...(others ?? MEANINGLESS[name] ?? [])]);
  }
}

/** Refuses values that mean nothing together, as commander refuses options. */
export function refuseContradictions(command: Command): void {
  const { capture, force, interval, samples, watch, memory, listen, prometheus } =
    command.opts<SkcheckOptions>();
  if (force && capture === undefined) command.error("option '--force' requires '--capture <file>'");
  if (memory !== undefined && !listen && !prometheus)
    command.error("option '--memory' requires '--listen <address>' or '--prometheus'");
  if (interval > 0) return;
  for (const [given, words] of [
    [samples !== undefined, '--samples <count>'],
    [watch, '--watch'],
    [capture !== undefined, '--capture <file>'],
  ] as const)
    if (given) command.error(`option '${words}' requires two samples: '--interval 0' takes one`);
}
