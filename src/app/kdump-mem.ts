import { Command, CommanderError, type Option } from 'commander';
import { READER_VARIABLE } from '../host/child.js';
import { asCalled, escapeUsage, usageSentences } from './kit/called-as.js';
import { commandGroups } from './kit/commands.js';
import { refuseWithoutCommand } from './kit/dump-arguments.js';
import { EXIT, explainFailure, reportBugs } from './kit/failure.js';
import { refuseFrom } from './kit/from-argument.js';
import { endWithReader } from './kit/output.js';
import { isServed } from './kit/served.js';
import { VERSION } from './kit/version.js';

const AFTER_HELP = `
Examples:
  kdump-mem snapshot -o before.tar.gz      save the state of this machine, before a restart
  kdump-mem triage                         what is wrong here, the most severe problem first
  kdump-mem memory --live                  where the memory of this machine is

Exit status: 0 success, 1 a requested check failed (triage --fail-on,
snapshot --verify, --engine verify), 2 usage error, 3 the dump or kernel could
not be read, 4 the requested object does not exist, 5 the answer is incomplete
(with --strict), 70 internal error (please report it).`;

/**
 * Runs kdump-mem with some of its commands. The bundler (scripts/bundle-parts/entries.mjs) creates one bundle
 * per file in commands/, so that a command does not load the code of all others.
 *
 * @param register functions that register the commands
 */
export async function main(...register: readonly ((program: Command) => void)[]): Promise<void> {
  if (process.env[READER_VARIABLE]) return (await import('../host/proc/memory-files.js')).runReader();
  reportBugs('kdump-mem');
  endWithReader('kdump-mem', EXIT.unreadable);
  await runCommandLine(...register);
}

/**
 * Runs the command line of process.argv: prints its answer or its error, and sets the exit status.
 *
 * @param register functions that register the commands
 */
export async function runCommandLine(...register: readonly ((program: Command) => void)[]): Promise<void> {
  const program = kdumpMemCommand(...register);
  refuseFrom(program);
  try {
    if (isServed) (await import('../triage/batch/worker.js')).endWithParent();
    refuseWithoutCommand(program, process.argv.slice(2));
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // --help and --version end here too, with status 0. commander has already printed the message.
      process.exitCode = error.exitCode === 0 ? EXIT.answered : EXIT.usage;
    } else {
      const { line, status } = explainFailure(error);
      process.stderr.write(`${line}\n`);
      process.exitCode = status;
    }
  }
}

/** Returns the program with its commands registered, without running any. */
export function kdumpMemCommand(...register: readonly ((program: Command) => void)[]): Command {
  const program = new Command('kdump-mem')
    .description('Finds where the memory of a Linux machine is: on the running system, in a vmcore, or in a snapshot.')
    .version(VERSION)
    .addHelpText('after', AFTER_HELP)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) });
  for (const declare of register) declare(program);
  for (const command of program.commands)
    command.configureOutput({ outputError: (text, write) => write(usageLine(text, command.name())) });
  registerHelp(program);
  return program.configureHelp({ groupItems });
}

/** A usage error of commander in one line. An unknown option, such as `leaks --vmcore`, names where all are. */
function usageLine(text: string, command?: string): string {
  const words = usageSentences(escapeUsage(text));
  const isUnknown = /^(?:unknown option|too many arguments)/.test(words) && !words.endsWith('?');
  if (command === undefined || !isUnknown) return `kdump-mem: ${words}\n`;
  return `kdump-mem: ${asCalled(`${words.replace(/\.$/, '')}. Options: kdump-mem ${command} --help`)}\n`;
}

/** Groups the program's commands by heading; options remain one list. */
function groupItems<T extends Command | Option>(
  _declared: T[],
  visible: T[],
  headingOf: (item: T) => string,
): Map<string, T[]> {
  const groups = commandGroups().map(([heading, names]) => {
    const items = names.flatMap((name) => visible.filter((item) => isNamed(item, name)));
    return [heading, items] as const;
  });
  const others = visible.filter((item) => !groups.some(([, items]) => items.includes(item)));
  const rest = others.map((item) => [headingOf(item), others] as const).slice(0, 1);
  return new Map([...groups.filter(([, items]) => items.length > 0), ...rest]);
}

function isNamed(item: Command | Option, name: string): boolean {
  return item instanceof Command && item.name() === name;
}

/**
 * Replaces commander's own `help`, which prints the complete help for an unknown command without an error.
 * This one rejects it.
 */
function registerHelp(program: Command): void {
  program
    .helpCommand(false)
    .command('help [command]')
    .description('print the help of a command')
    .action((name?: string) => {
      if (name === undefined) program.help();
      const command = program.commands.find((known) => known.name() === name);
      if (command) command.help();
      program.parse([name], { from: 'user' });
    });
}
