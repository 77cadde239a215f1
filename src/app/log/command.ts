import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LogChoice, LogMoment } from '../../account/log.js';
import { nanosecondsOf } from '../../base/quantity.js';
import { formatJson } from '../../base/util.js';
import { FACILITIES, LEVELS } from '../../walk/log/record.js';
import { answer, streamAnswer } from '../kit/answer.js';
import type { OptionsOf } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { addBootOption, addFromOption, checkBoot, checkFrom } from '../kit/from-argument.js';
import { addSourceOptions } from '../kit/kernel-source.js';
import { printWarnings } from '../kit/output.js';

const EXAMPLES = `
Examples:
  kdump-mem log --vmcore vmcore                  print the kernel log, as dmesg does
  kdump-mem log --vmcore vmcore --level err+     print errors and more severe messages
  kdump-mem log --vmcore vmcore --since -10m     print the last ten minutes before the crash
  kdump-mem log --vmcore vmcore --since 90 --until 95.5   print messages between two log times
  kdump-mem log --vmcore vmcore -x --callers     add facility, level and caller: T123 is task 123,
                                                 C1 is CPU 1 outside of a task
  kdump-mem log messages.gz                      print the kernel messages of dmesg, syslog or journal text
  kdump-mem log kern.log --boot -1               print the boot before the last one
  kdump-mem log /sys/fs/pstore                   print the logs in a folder: pstore, journals, a sosreport
  kdump-mem log --from host.tar.gz               print the log in a snapshot

Times are seconds on the kernel clock, which stops during suspend; -10m counts back from the newest
message. Control characters are printed as \\xNN. Docs: docs/log.md.

Exit status: 0 answered, 1 crash and kdump-mem disagree (--engine verify), 2 wrong usage, 3 the dump
or kernel could not be opened or read, 5 (with --strict) the answer is incomplete.`;

function declareLog(program: Command) {
  return addBootOption(addFromOption(addSourceOptions(program.command('log'))))
    .usage('[options] [dump...]')
    .description('print the kernel log, as dmesg does')
    .option('-l, --level <list>', 'only these levels, for example err,warn or err+', parseLevels)
    .option('-f, --facility <list>', 'only these facilities, for example kern,daemon', parseFacilities)
    .option('--since <time>', 'only messages from this time on: 90.5, or -10m before the newest', parseMoment)
    .option('--until <time>', 'only messages up to this time', parseMoment)
    .option('-x, --decode', 'show facility and level')
    .option('--callers', 'show the task or CPU that printed each message')
    .option('--json', 'print the answer as JSON')
    .addOption(new Option('--ndjson', 'print one JSON line per message').conflicts('json'))
    .option('--strict', 'exit with status 5 if anything could not be read');
}

type LogOptions = OptionsOf<typeof declareLog>;

/** Registers `kdump-mem log`, which prints the kernel log. */
export function registerLog(program: Command): void {
  declareLog(program).addHelpText('after', EXAMPLES).action(answerLog);
}

async function answerLog(options: LogOptions): Promise<void> {
  const [{ eachMessage, messages }, { logEnd, logJson, messageLine, messageText }] = await Promise.all([
    import('../../account/log.js'),
    import('../../answers/log/render.js'),
  ]);
  const { level, facility, since, until, ndjson, from } = options;
  const choice: LogChoice = { levels: level, facilities: facility, since, until };
  checkFrom(options);
  const { inputsAmong, inputsBeside, inputsFrom } = await import('../kit/log-inputs.js');
  const inputs = await (from === undefined ? inputsAmong(options.vmcore) : inputsFrom(from, { pasted: false }));
  if (inputs) {
    const { printCapturedLog, printTextLog } = await import('./text-log.js');
    if ('logs' in inputs) return printTextLog(inputs, choice, options);
    return printCapturedLog(inputs, choice, options);
  }
  checkBoot(options);
  let listed = 0;
  const byBeside = async (error: unknown): Promise<void> => {
    if (listed > 0) throw error;
    const beside = inputsBeside(error, options);
    process.exitCode = EXIT.unreadable;
    return (await import('./text-log.js')).printTextLog(beside, choice, options);
  };
  if (options.json || options.engine === 'verify') {
    if (ndjson) throw new UsageError('--ndjson does not support --engine verify: use --json');
    await answer(options, { ask: (kernel) => messages(kernel, choice), toJson: logJson, toText: () => '' }).catch(
      byBeside,
    );
    return;
  }
  await streamAnswer(options, function* (kernel) {
    const messages = eachMessage(kernel, choice);
    for (;;) {
      const { done, value } = messages.next();
      if (!done) {
        listed++;
        yield ndjson ? `${formatJson(messageLine(value))}\n` : messageText(value, options);
        continue;
      }
      if (ndjson) yield `${formatJson(logEnd(value, listed))}\n`;
      else printRest(value);
      return value.complete;
    }
  }).catch(byBeside);
}

/** Prints the number of missing messages, and warnings. */
function printRest({
  overwritten,
  noRoom,
  warnings,
}: {
  overwritten: number;
  noRoom: number;
  warnings: Parameters<typeof printWarnings>[0];
}): void {
  if (overwritten > 0) process.stderr.write(`kdump-mem: ${overwritten} older messages were overwritten.\n`);
  if (noRoom > 0)
    process.stderr.write(`kdump-mem: ${noRoom} messages are missing because the kernel log buffer was full.\n`);
  printWarnings(warnings);
}

/**
 * Parses comma-separated level names as dmesg does: `err+` means err and more severe levels, `+info` info and
 * less severe ones.
 */
export function parseLevels(text: string): ReadonlySet<number> {
  const chosen = new Set<number>();
  for (const word of text.split(',')) {
    const { less = '', name = '', worse = '' } = /^(?<less>\+?)(?<name>[a-z]+)(?<worse>\+?)$/.exec(word)?.groups ?? {};
    const level = LEVELS.indexOf(name);
    if (level < 0 || (less !== '' && worse !== ''))
      throw new InvalidArgumentError(`Use levels of ${LEVELS.join(', ')}; err+ is err and more severe.`);
    for (let number = worse ? 0 : level; number <= (less ? LEVELS.length - 1 : level); number++) chosen.add(number);
  }
  return chosen;
}

/** Parses comma-separated facility names. */
export function parseFacilities(text: string): ReadonlySet<number> {
  const chosen = text.split(',').map((name) => FACILITIES.indexOf(name));
  if (chosen.includes(-1)) throw new InvalidArgumentError(`Use facilities of ${FACILITIES.join(', ')}.`);
  return new Set(chosen);
}

/** Parses `90.5` (seconds after boot, as in messages) or `-10m` (time before the newest message). */
export function parseMoment(text: string): LogMoment {
  const nanoseconds = nanosecondsOf(text.replace(/^-/, ''));
  if (nanoseconds === undefined)
    throw new InvalidArgumentError('Use seconds after boot (90.5), or a time before the newest message (-10m).');
  return { nanoseconds, from: text.startsWith('-') ? 'end' : 'boot' };
}
