import { Command, InvalidArgumentError, Option } from 'commander';
import { isAddressFilter, isState } from '../../skcheck/filter.js';
import { STALE_CODES, VERDICT_CODES, type VerdictCode } from '../../skcheck/verdict.js';
import {
  decimal,
  parseIntervalOrNone,
  parseListen,
  parseSize,
  parseTime,
} from '../kit/arguments.js';
import { LIVE_SOURCES } from '../kit/live-sources.js';
import { VERSION } from '../kit/version.js';
import { declareConflicts } from './conflicts.js';
import type { SkcheckOptions } from './request.js';

const EXAMPLES = `
Examples:
  skcheck --stale                  who has stopped reading, for how long, what it pins
  skcheck                          everything that is wrong, and every socket with unread data
  skcheck --stale --interval 10    watch for ten seconds: surer for UDP and unix sockets
  skcheck --stale --interval 0     answer at once, from one sample (less sure)
  skcheck --samples 5 --interval 2 also tells processes whose descriptors grow
  skcheck --stale -v               also why, who else holds it, and where that runs
  skcheck --watch                  a live table; piped, one JSON object for each look
  skcheck --stale --pid 4711       the sockets of one process
  skcheck --netns web              one network namespace, by name, path, pid or inode
  skcheck --capture-script > c.sh  on another host: sh c.sh c.tar.gz; then skcheck --from c.tar.gz
  skcheck --stale --quiet          nothing unless something has stopped: for cron
  skcheck --stale --json | jq '.sockets[] | {pid, comm, unreadBytes}'

With root it sees all network namespaces, else its own.
kdump-mem explain CODE tells what a verdict means.
Exit status: 0 nothing stale, 1 stale sockets (--verdict: one of these), 2 usage,
3 cannot look, or nothing found and not everything could be looked at,
70 a bug ended it (please report it).`;

/** The command, with its options declared and nothing done. */
export function skcheckCommand(): Command {
  const command = new Command('skcheck')
    .description(
      'Finds sockets whose owner has stopped reading, and what they pin, with ss and /proc.',
    )
    .version(VERSION)
    .option('--stale', 'list only sockets whose owner has stopped reading')
    .addOption(
      new Option('--verdict <codes>', `list only these: ${VERDICT_CODES.join(', ')}`).argParser(
        verdicts,
      ),
    )
    .addOption(
      new Option('--interval <time>', 'time between two samples; 0: one sample, less sure')
        .default(2)
        .argParser(parseIntervalOrNone),
    )
    .addOption(
      new Option('--samples <count>', 'how many samples to take').argParser(
        wholeNumber('2 to 1000 samples', 2, 1000),
      ),
    )
    .option('--watch', 'look again and again: a live table, or NDJSON when piped')
    .addOption(
      new Option('--min-bytes <size>', 'pass over sockets with less unread than this')
        .default(1)
        .argParser(parseSize),
    )
    .addOption(
      new Option('--min-age <time>', 'pass over what is wrong for less: 30, 10m, 2h')
        .default(0)
        .argParser(parseTime),
    )
    .addOption(
      new Option('--pid <pid>', 'only the sockets of this process').argParser(
        wholeNumber('a pid', 1),
      ),
    )
    .option('--netns <which>', 'all, own, or a namespace by name, path, pid or inode')
    .addOption(
      new Option('--state <names>', 'only these states, as ss names them').argParser(states),
    )
    .addOption(
      new Option('--sport <port>', 'only this local port').argParser(
        wholeNumber('a port', 0, 65_535),
      ),
    )
    .addOption(
      new Option('--dport <port>', 'only this remote port').argParser(
        wholeNumber('a port', 0, 65_535),
      ),
    )
    .addOption(
      new Option(
        '--address <address>',
        'only sockets with an end here: 10.0.0.0/8, ::1, /run/x',
      ).argParser(address),
    )
    .addOption(
      new Option('--top <count>', 'list only so many, the worst first').argParser(
        wholeNumber('a number of sockets', 1),
      ),
    )
    .option('-v, --verbose', 'under each row why, who else holds it, and where that runs')
    .option('--quiet', 'print nothing when nothing is found')
    .option('--json', 'print one JSON object (schema skcheck/1)')
    .option('--census', 'count the pages that sockets can pin at most (root; some seconds)')
    .option('--exact', "count in the kernel's memory what is found (root; /proc/kcore)")
    .option('--procfs', 'read /proc/net instead of asking ss: sees and proves less')
    .option('--from <path>', 'a capture or a sosreport, archive or directory, instead of this host')
    .option('--capture <file>', 'write a capture of this host (tar.gz) and judge nothing')
    .option('--force', 'write the capture over a file that is there')
    .option('--capture-script', 'print the script that captures, for hosts with only sh and tar')
    .option('--doctor', 'say what is missing here, and what works all the same')
    .option('--prometheus [file]', 'print metrics, or write them for the textfile collector')
    .addOption(
      new Option('--listen <address>', 'serve metrics over HTTP, as in 127.0.0.1:9700').argParser(
        parseListen,
      ),
    )
    .addOption(
      new Option(
        '--memory [source]',
        'with metrics: where the memory is, too; by counters, or what --memory names',
      )
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

/** The verdicts to list; null: all. */
export function verdictsAsked({ stale, verdict }: SkcheckOptions): readonly VerdictCode[] | null {
  return stale ? STALE_CODES : (verdict ?? null);
}

function verdicts(text: string): readonly VerdictCode[] {
  return words(text).map((word) => {
    const code = VERDICT_CODES.find((each) => each === word);
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
    throw new InvalidArgumentError('It takes names with commas between them.');
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
