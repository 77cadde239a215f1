import { type Command, Option } from 'commander';
import type { LogChoice, LogMoment } from '../../account/log.js';
import { formatJson } from '../../base/json.js';
import type { BootChoice } from '../../log/boots.js';
import { type AnswerOptions, answer, streamAnswer } from '../kit/answer.js';
import { EXIT, UsageError } from '../kit/failure.js';
import {
  addBootOption,
  addFromOption,
  checkBoot,
  checkFrom,
  type FromOptions,
} from '../kit/from-argument.js';
import { addSourceOptions } from '../kit/kernel-source.js';
import { printWarnings } from '../kit/output.js';
import { parseFacilities, parseLevels, parseMoment } from './arguments.js';

interface LogOptions extends AnswerOptions, FromOptions {
  readonly level?: ReadonlySet<number>;
  readonly facility?: ReadonlySet<number>;
  readonly since?: LogMoment;
  readonly until?: LogMoment;
  readonly decode?: true;
  readonly callers?: true;
  readonly ndjson?: true;
  readonly boot?: BootChoice;
}

const EXAMPLES = `
Examples:
  kdump-mem log --vmcore vmcore                  the kernel’s log, as dmesg prints it
  kdump-mem log --vmcore vmcore --level err+     errors, and what is worse
  kdump-mem log --vmcore vmcore --since -10m     the last ten minutes before the crash
  kdump-mem log --vmcore vmcore --since 90 --until 95.5   between these times, as in the log
  kdump-mem log --vmcore vmcore -x --callers     with facility, level, and who called: T123 is the
                                                 task 123, C1 the CPU 1 that ran no task’s code
  kdump-mem log messages.gz                      the kernel’s messages of a text: dmesg, syslog, journal
  kdump-mem log kern.log --boot -1               those of the boot before the last
  kdump-mem log /sys/fs/pstore                   logs in a folder: pstore, journals, rotated logs, a sosreport
  kdump-mem log --from host.tar.gz               as a snapshot keeps it

Times are seconds on the kernel’s own clock, which stands still in sleep; -10m counts back from the newest
message. What a terminal would obey is printed as \\xNN. Docs: docs/log.md.

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could not
be opened or read, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem log`: the kernel's log. */
export function registerLog(program: Command): void {
  addBootOption(addFromOption(addSourceOptions(program.command('log'))))
    .usage('[options] [dump...]')
    .description('the kernel’s log, as dmesg prints it')
    .option('-l, --level <list>', 'only these levels, such as err,warn or err+', parseLevels)
    .option('-f, --facility <list>', 'only these facilities, such as kern,daemon', parseFacilities)
    .option('--since <time>', 'from this time on: 90.5, or -10m before the end', parseMoment)
    .option('--until <time>', 'up to this time', parseMoment)
    .option('-x, --decode', 'show facility and level')
    .option('--callers', 'show the task or CPU that each message is from')
    .option('--json', 'print the answer as JSON')
    .addOption(new Option('--ndjson', 'print each message as a line of JSON').conflicts('json'))
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(answerLog);
}

async function answerLog(options: LogOptions): Promise<void> {
  const [{ eachMessage, messages }, { logEnd, logJson, messageLine }, { messageText }] =
    await Promise.all([
      import('../../account/log.js'),
      import('../../answers/log/json.js'),
      import('../../answers/log/text.js'),
    ]);
  const { level, facility, since, until, ndjson, from } = options;
  const choice: LogChoice = { levels: level, facilities: facility, since, until };
  checkFrom(options);
  const { inputsAmong, inputsBeside, inputsFrom } = await import('../kit/log-inputs.js');
  const inputs = await (from === undefined ? inputsAmong(options.vmcore) : inputsFrom(from));
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
    if (ndjson)
      throw new UsageError('--ndjson streams what one engine finds; with verify take --json');
    await answer(options, {
      ask: (kernel) => messages(kernel, choice),
      toJson: logJson,
      toText: () => '',
    }).catch(byBeside);
    return;
  }
  await streamAnswer(options, function* (kernel) {
    const each = eachMessage(kernel, choice);
    for (;;) {
      const { done, value } = each.next();
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

/** What the messages themselves do not tell. */
function printRest({
  overwritten,
  noRoom,
  warnings,
}: {
  overwritten: number;
  noRoom: number;
  warnings: Parameters<typeof printWarnings>[0];
}): void {
  if (overwritten > 0)
    process.stderr.write(`kdump-mem: ${overwritten} older messages were overwritten.\n`);
  if (noRoom > 0)
    process.stderr.write(
      `kdump-mem: the kernel log had no room for ${noRoom} messages: they are missing.\n`,
    );
  printWarnings(warnings);
}
