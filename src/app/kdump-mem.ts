import { Command, CommanderError } from 'commander';
import { refuseWithoutCommand } from './kit/dump-arguments.js';
import { EXIT, explainFailure } from './kit/failure.js';
import { refuseFrom } from './kit/from-argument.js';
import { reportBugs } from './kit/last-resort.js';
import { endWithReader } from './kit/output.js';
import { escapeUsage, usageSentences } from './kit/usage.js';
import { VERSION } from './kit/version.js';

const EXIT_STATUS = `
Exit status: 0 answered, 1 the engines differ (verify) or there is a finding
(triage --fail-on), 2 wrong usage, 3 the dump or kernel could not be read,
4 what was asked for is not there, 5 (with --strict) the answer is incomplete,
70 a bug of kdump-mem ended it (please report it).`;

/**
 * Runs kdump-mem with some of its commands: the bundler (scripts/bundle-parts/entries.mjs) gives each
 * file of commands/ a bundle of its own, so that none waits for the code of all others.
 *
 * @param register declares each of them
 */
export async function main(...register: readonly ((program: Command) => void)[]): Promise<void> {
  reportBugs('kdump-mem');
  const program = kdumpMemCommand(...register);
  refuseFrom(program);
  endWithReader('kdump-mem', EXIT.unreadable);
  try {
    refuseWithoutCommand(program, process.argv.slice(2));
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end here too, with status 0; commander has printed what there is to say.
      process.exitCode = error.exitCode === 0 ? EXIT.answered : EXIT.usage;
    } else {
      const { line, status } = explainFailure(error);
      process.stderr.write(`${line}\n`);
      process.exitCode = status;
    }
  }
}

/** The program, with its commands declared and nothing done. */
export function kdumpMemCommand(...register: readonly ((program: Command) => void)[]): Command {
  const program = new Command('kdump-mem')
    .description(
      'Finds where the memory of a machine is, and who lost it: in a vmcore, the running kernel, or a capture of a host.',
    )
    .version(VERSION)
    .addHelpText('after', EXIT_STATUS)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`kdump-mem: ${usageSentences(escapeUsage(text))}\n`),
    });
  for (const declare of register) declare(program);
  registerHelp(program);
  return program;
}

/** commander's own `help` shows everything, and says nothing, for a command that there is not: here it is refused. */
function registerHelp(program: Command): void {
  program
    .helpCommand(false)
    .command('help [command]')
    .description('display help for a command')
    .action((name?: string) => {
      if (name === undefined) program.help();
      const command = program.commands.find((each) => each.name() === name);
      if (command) command.help();
      program.parse([name], { from: 'user' });
    });
}
