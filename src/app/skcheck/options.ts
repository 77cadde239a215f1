import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from 'commander';
import { HOST_ERROR } from '../../answers/explain/generated.js';
import { SKCHECK_GROUPINGS } from '../../answers/skcheck/schema.js';
import type { HostErrorCode } from '../../base/errors.js';
import type { OutputError } from '../../base/output-file.js';
import { isAddressFilter, isState } from '../../skcheck/filter.js';
import { STALE_CODES, VERDICT_CODES, type VerdictCode } from '../../skcheck/verdict.js';
import { decimal, type OptionsOf, parseIntervalOrNone, parseListen, parseSize, parseTime } from '../kit/arguments.js';
import { LIVE_SOURCES } from '../kit/from-argument.js';
import { VERSION } from '../kit/version.js';

const EXAMPLES = `
Examples:
  skcheck --stale                  sockets whose owner stopped reading, and what they pin
  skcheck                          every problem, and every socket with unread data
  skcheck --stale --interval 10    sample for 10 s: more reliable for UDP and unix sockets
  skcheck --stale --interval 0     answer at once from one sample (less reliable)
  skcheck --samples 5 --interval 2 also report processes whose open descriptors grow
  skcheck --stale -v               also show why, other holders, cgroup and container
  skcheck --watch                  live table; in a pipe one JSON object per scan
  skcheck --stale --pid 4711       sockets of one process
  skcheck --stale --by cgroup      sums by process, cgroup or pod
  skcheck --netns web              one network namespace, by name, path, pid or inode
  skcheck --capture-script > c.sh  on another host: sh c.sh c.tar.gz; then skcheck --from c.tar.gz
  skcheck --stale --quiet          print nothing unless a socket is stalled (for cron)
  skcheck --stale --json | jq '.sockets[] | {pid, comm, unreadBytes}'

Root sees all network namespaces, other users their own.
kdump-mem explain CODE explains a verdict or a warning.
Exit status: 0 nothing stale, 1 stale sockets (--verdict: one of these), 2 usage,
3 scan failed, or nothing found in an incomplete scan,
70 internal error (please report it).`;

/** Returns the command with its options registered, without running it. */
export function skcheckCommand() {
  const command = new Command('skcheck')
    .description('Find sockets whose owner has stopped reading, and the memory they pin.')
    .version(VERSION)
    .option('--stale', 'list only sockets whose owner has stopped reading')
    .addOption(
      new Option('--verdict <codes>', `list only these verdicts: ${VERDICT_CODES.join(', ')}`).argParser(verdicts),
    )
    .addOption(
      new Option('--interval <time>', 'time between two samples; 0: one sample, less reliable')
        .default(2)
        .argParser(parseIntervalOrNone),
    )
    .addOption(
      new Option('--samples <count>', 'number of samples, 2 to 1000').argParser(
        wholeNumber('2 to 1000 samples', 2, 1000),
      ),
    )
    .option('--watch', 'repeat until interrupted: a live table, or NDJSON in a pipe')
    .addOption(new Option('--min-bytes <size>', 'minimum of unread bytes').default(1).argParser(parseSize))
    .addOption(new Option('--min-age <time>', 'minimum age of a problem: 30, 10m, 2h').default(0).argParser(parseTime))
    .addOption(new Option('--pid <pid>', 'list only sockets of this process').argParser(wholeNumber('a pid', 1)))
    .option('--netns <which>', 'network namespace: all, own, a name, path, pid or inode')
    .addOption(new Option('--state <names>', 'list only these socket states, as in ss').argParser(states))
    .addOption(new Option('--sport <port>', 'list only this local port').argParser(wholeNumber('a port', 0, 65_535)))
    .addOption(new Option('--dport <port>', 'list only this remote port').argParser(wholeNumber('a port', 0, 65_535)))
    .addOption(
      new Option(
        '--address <address>',
        'list only sockets with this local or peer address: 10.0.0.0/8, ::1, /run/x',
      ).argParser(address),
    )
    .addOption(
      new Option('--top <count>', 'maximum number of rows, worst first (default: 50; JSON: all)').argParser(
        wholeNumber('a number of rows', 1),
      ),
    )
    .addOption(new Option('--by <what>', 'group the listed sockets and show sums').choices(SKCHECK_GROUPINGS))
    .option('-v, --verbose', 'under each row: reason, other holders, cgroup and container')
    .option('--quiet', 'print nothing if no socket is found')
    .option('--json', 'print one JSON object (schema skcheck/1)')
    .option('--census', 'count the pages that can hold packets, as an upper bound (root; seconds)')
    .option('--exact', 'count the exact pinned memory in kernel memory (root; /proc/kcore)')
    .option('--procfs', 'read /proc/net instead of running ss: less detail, fewer proofs')
    .option('--from <path>', 'read a capture or sosreport (archive or directory) instead of this host')
    .option('--capture <file>', 'write a capture of this host (tar.gz) and exit')
    .option('--force', 'overwrite an existing capture file')
    .option('--capture-script', 'print the capture script, for hosts with only sh and tar')
    .option('--doctor', 'show which features work on this machine')
    .option('--prometheus [file]', 'print metrics, or write them for the textfile collector')
    .addOption(
      new Option('--listen <address>', 'serve metrics over HTTP at this address, for example 127.0.0.1:9700').argParser(
        parseListen,
      ),
    )
    .addOption(
      new Option('--memory [source]', 'with metrics: add memory figures from this source')
        .choices(LIVE_SOURCES)
        .preset('counters'),
    )
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  declareConflicts(command);
  return command;
}

/** The parsed command line. Times are seconds. */
export type SkcheckOptions = OptionsOf<typeof skcheckCommand>;

/** The verdicts to list; null: all. */
export function requestedVerdicts({ stale, verdict }: SkcheckOptions): readonly VerdictCode[] | null {
  return stale ? STALE_CODES : (verdict ?? null);
}

function verdicts(text: string): readonly VerdictCode[] {
  return words(text).map((word) => {
    const code = VERDICT_CODES.find((known) => known === word);
    if (!code) throw new InvalidArgumentError(`It takes ${VERDICT_CODES.join(', ')}.`);
    return code;
  });
}

function states(text: string): readonly string[] {
  const list = words(text);
  const unknown = list.find((state) => !isState(state));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`It takes states such as established, listening, close-wait.`);
  return list;
}

function words(text: string): readonly string[] {
  const list = text.split(',').map((word) => word.trim());
  if (list.some((word) => !/^[A-Za-z0-9-]{1,30}$/.test(word)))
    throw new InvalidArgumentError('It takes names separated by commas.');
  return list;
}

function address(text: string): string {
  if (!isAddressFilter(text))
    throw new InvalidArgumentError('It takes an address, a prefix (10.0.0.0/8) or a unix path.');
  return text;
}

function wholeNumber(what: string, low: number, high = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = decimal(text);
    if (!(value >= low && value <= high)) throw new InvalidArgumentError(`It takes ${what}.`);
    return value;
  };
}

type Name = keyof SkcheckOptions;

/**
 * Options that are rejected in combination with another because they would have no effect: ignoring them
 * would answer a different question.
 */
const MEANINGLESS: Partial<Record<Name, readonly Name[]>> = {
  stale: ['verdict'],
  // A capture has fixed samples, and its host is not this machine.
  from: ['interval', 'samples', 'watch', 'procfs', 'census', 'exact', 'listen', 'memory'],
  // Metrics cover all findings, whatever is listed.
  prometheus: ['stale', 'verdict', 'top', 'by', 'verbose', 'quiet', 'json', 'watch', 'listen'],
  listen: ['stale', 'verdict', 'top', 'by', 'verbose', 'quiet', 'json', 'watch'],
  json: ['verbose'],
  by: ['verbose'],
};

/** Options that may accompany options that do not scan. */
const ALONE: Partial<Record<Name, readonly Name[]>> = {
  capture: ['interval', 'force'],
  captureScript: [],
  doctor: ['json'],
};

/** Makes commander reject options that cannot be combined. */
function declareConflicts(command: CommandUnknownOpts): void {
  const names = command.options.map((option) => option.attributeName());
  for (const option of command.options) {
    const name = option.attributeName() as Name;
    const beside = ALONE[name] as readonly string[] | undefined;
    const others = beside && names.filter((other) => other !== name && !beside.includes(other));
    option.conflicts([...(others ?? MEANINGLESS[name] ?? [])]);
  }
}

/** Rejects option values that cannot be combined, with commander's errors. */
export function refuseContradictions(command: ReturnType<typeof skcheckCommand>): void {
  const { capture, force, interval, samples, watch, memory, listen, prometheus } = command.opts();
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

/** Exit statuses of skcheck (the README lists them next to those of kdump-mem). */
export const EXIT = { nothingStale: 0, stale: 1, usage: 2, scanIncomplete: 3 } as const;

export const OUTPUT_ADVICE: Record<OutputError['code'], string> = {
  exists: 'Nothing was captured.',
  'cannot-write': 'Name a file in a directory that you may write to, with room for it.',
};

/** Advice for a capture of another host. */
const CAPTURE_ADVICE: Partial<Record<HostErrorCode, string>> = {
  gone: 'Capture that host again.',
  denied: "Check the capture's permissions.",
  unreadable: 'Capture that host again.',
  'netns-closed': 'Capture as root, with nsenter (util-linux) or ip (iproute2) installed.',
  'no-such-process': 'Check the pid; it is one of the host that was captured.',
  'no-such-netns': 'Give a name, a path or a pid as on that host, or all.',
};

/** Advice for root, which omits running as root. */
const ROOT_ADVICE: Partial<Record<HostErrorCode, string>> = {
  denied: 'Already root: a capability (CAP_SYS_PTRACE) is missing, as in a container, or a security module refuses.',
  'netns-closed': 'Already root: it needs nsenter (util-linux) and CAP_SYS_ADMIN, which a container may lack.',
};

export function adviceFor(code: HostErrorCode, captured: boolean): string {
  const own = captured ? CAPTURE_ADVICE : process.geteuid?.() === 0 ? ROOT_ADVICE : {};
  return own[code] ?? HOST_ERROR[code].next;
}
