import { Command, CommanderError } from 'commander';
import { escapeText } from '../report/escape.js';
import { registerExtract } from './commands/extract.js';
import { registerInfo } from './commands/info.js';
import { registerRead } from './commands/read.js';
import { registerSkb } from './commands/skb.js';
import { registerSockets } from './commands/sockets.js';
import { registerStruct } from './commands/struct.js';
import { refuseWithoutCommand } from './dump-arguments.js';
import { EXIT, explainFailure } from './failure.js';
import { endWithReader } from './output.js';
import { usageLine } from './usage-line.js';
import { VERSION } from './version.js';

void main();

async function main(): Promise<void> {
  const program = new Command('kdump-mem')
    .description(
      'Finds the kernel memory that unread sockets pin, page by page, in a vmcore or the live kernel.',
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(usageLine(text)),
    });

  registerExtract(program);
  registerInfo(program);
  registerRead(program);
  registerSkb(program);
  registerSockets(program);
  registerStruct(program);
  registerHelp(program);

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

/** commander's own `help` shows everything, and says nothing, for a command that there is not. */
function registerHelp(program: Command): void {
  program
    .helpCommand(false)
    .command('help [command]')
    .description('display help for a command')
    .action((name?: string) => {
      if (name === undefined) program.help();
      const command = program.commands.find((each) => each.name() === name);
      if (!command) program.error(`error: unknown command '${escapeText(name)}'`);
      command.help();
    });
}
