#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { HostError } from '../host/error.js';
import { liveHost } from '../host/live.js';
import { observe } from '../host/observe.js';
import { escapeText } from '../report/escape.js';
import { formatSkcheckJson, skcheckReport } from '../report/skcheck.js';
import { formatSkcheckText } from '../report/skcheck-text.js';
import { diagnose } from '../stale/diagnose.js';
import { ADVICE, EXIT } from './skcheck-failure.js';

interface Options {
  readonly stale?: boolean;
  readonly interval: number;
  readonly minBytes: number;
  readonly pid?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  skcheck --stale                  who has stopped reading, for how long, what it pins
  skcheck --stale --interval 10    watch for ten seconds: surer for UDP and unix sockets
  skcheck --stale --interval 0     answer at once, from one sample (less sure)
  skcheck --stale --pid 4711       the sockets of one process
  skcheck                          every socket with unread data, also those that are being read
  skcheck --stale --json | jq '.sockets[] | {pid, comm, unreadBytes}'

Sees the TCP, UDP and unix sockets of its own network namespace (ip netns exec NAME skcheck …).
Exit status: 0 nothing has stopped reading, 1 something has, 2 wrong usage, 3 could not look.`;

const program = new Command('skcheck')
  .description(
    'Finds sockets whose owner has stopped reading, and what they pin, with ss and /proc.',
  )
  .version(readVersion())
  .option('--stale', 'list only sockets whose owner has stopped reading')
  .addOption(
    new Option('--interval <seconds>', 'time between two samples; 0: one sample, less sure')
      .default(2)
      .argParser(interval),
  )
  .addOption(
    new Option('--min-bytes <bytes>', 'pass over sockets with less unread than this')
      .default(1)
      .argParser(wholeNumber('a number of bytes', 0)),
  )
  .addOption(
    new Option('--pid <pid>', 'only the sockets of this process').argParser(
      wholeNumber('a pid', 1),
    ),
  )
  .option('--json', 'print one JSON object (schema skcheck/1)')
  .helpOption('-h, --help', 'show this help')
  .addHelpText('after', EXAMPLES)
  .allowExcessArguments(false)
  .exitOverride()
  .configureOutput({ writeErr: () => undefined });

await main();

async function main(): Promise<void> {
  // A reader that goes away (head, a pager) is not our failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  try {
    program.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.nothingStale : EXIT.usage;
    if (error.exitCode !== 0) complain(`${usageWords(error.message)} Try skcheck --help.`);
    return;
  }
  try {
    process.exitCode = await check(program.opts<Options>());
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    complain(`${escapeText(error.message)}. ${ADVICE[error.code]}`);
    process.exitCode = EXIT.couldNotLook;
  }
}

async function check(options: Options): Promise<number> {
  const progress = process.stderr.isTTY && options.interval > 0;
  if (progress) process.stderr.write(`watching for ${options.interval} s …`);
  let observation: Awaited<ReturnType<typeof observe>>;
  try {
    observation = await observe(liveHost, {
      intervalMs: options.interval * 1000,
      ...(options.pid === undefined ? {} : { pid: options.pid }),
    });
  } finally {
    if (progress) process.stderr.write('\r\u001b[K');
  }
  const report = skcheckReport(observation, diagnose(observation, options.minBytes), {
    takenAt: new Date(),
    only: options.stale ? 'stalled' : 'all',
  });
  const colours = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  const text = options.json
    ? formatSkcheckJson(report)
    : formatSkcheckText(
        report,
        colours ? (style, words) => styleText(style, words) : (_, words) => words,
      );
  process.stdout.write(`${text}\n`);
  for (const { message } of report.warnings) complain(`note: ${message}.`);
  return report.totals.stalled > 0 ? EXIT.stale : EXIT.nothingStale;
}

function complain(words: string): void {
  process.stderr.write(`skcheck: ${words}\n`);
}

/** commander's message, in one inert line and without its own "error:". */
function usageWords(message: string): string {
  const words = escapeText(message.split('\n')[0] ?? '').replace(/^error: /, '');
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

/** Seconds. In less than half a second a healthy reader may well read nothing. */
function interval(text: string): number {
  const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (value !== 0 && !(value >= 0.5 && value <= 3600))
    throw new InvalidArgumentError('It takes 0, or 0.5 to 3600 seconds.');
  return value;
}

function wholeNumber(what: string, low: number) {
  return (text: string): number => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low)) throw new InvalidArgumentError(`It takes ${what}.`);
    return value;
  };
}

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const manifest: unknown = JSON.parse(text);
  return typeof manifest === 'object' && manifest && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}
