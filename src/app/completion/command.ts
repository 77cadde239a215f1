import { Argument, type Command, Option } from 'commander';
import { UsageError } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { SCRIPTS, SHELLS, type Shell } from './scripts.js';

const EXAMPLES = `
Examples:
  eval "$(kdump-mem completion bash)"       in ~/.bashrc
  eval "$(kdump-mem completion zsh)"        in ~/.zshrc, behind compinit
  kdump-mem completion fish | source        in ~/.config/fish/config.fish

Completes commands, options, their values, pids, types and symbols. Pids and names come from the dump on the command
line, or else from this machine. Completes both kdump-mem and skcheck.

Exit status: 0 success, 2 usage error.`;

/** Registers `kdump-mem completion`, which prints shell completions. */
export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .usage('<shell>')
    .description('print the shell code that completes command lines')
    .addArgument(new Argument('<shell...>', 'bash, zsh or fish'))
    .addOption(new Option('--of <program>').hideHelp())
    .addOption(new Option('--line <line>').hideHelp())
    .addHelpText('after', EXAMPLES)
    .action(async (words, { of, line }) => {
      if (of !== undefined) return suggestWords(of, words, line);
      const shell = SHELLS.find((known): known is Shell => known === words[0]);
      if (!shell || words.length > 1)
        throw new UsageError(`unknown or missing shell (choose one of ${SHELLS.join(', ')})`);
      printAnswer(SCRIPTS[shell].trimEnd());
    });
}

/**
 * Prints completion candidates, one per line.
 *
 * @param line the complete line, for shells that keep quotes in words and split them at colons
 */
async function suggestWords(of: string, words: readonly string[], line?: string): Promise<void> {
  const [{ suggest }, { values }, { namedSource }, { lineWords }, { escapeText }] = await Promise.all([
    import('./suggest.js'),
    import('./suggest.js'),
    import('./command-line.js'),
    import('./command-line.js'),
    import('../../base/escape.js'),
  ]);
  const program = await declared(of);
  const { candidates, files, values: more } = suggest(program, words);
  const typed = (words.at(-1) ?? '').slice(more?.prefix.length ?? 0);
  const before = line === undefined ? words.slice(0, -1) : lineWords(line).slice(1);
  const offered = more ? await values(more.of, namedSource(program, before), typed) : [];
  const all = [
    ...candidates,
    ...offered.map((candidate) => ({ ...candidate, value: `${more?.prefix}${candidate.value}` })),
  ];
  // Process names are untrusted.
  const lines = all.map(({ value, description }) => `${value}\t${escapeText(description)}`);
  const text = [...lines, ...(files ? [':files'] : [])].join('\n');
  if (text !== '') printAnswer(text);
}

async function declared(of: string): Promise<Command> {
  if (of === 'skcheck') {
    const { skcheckCommand } = await import('../skcheck/options.js');
    return skcheckCommand();
  }
  const [{ kdumpMemCommand }, { ALL_COMMANDS }, { registerMcp }] = await Promise.all([
    import('../kdump-mem.js'),
    import('./generated.js'),
    import('../mcp/command.js'),
  ]);
  return kdumpMemCommand(...ALL_COMMANDS, registerMcp, registerCompletion);
}
