import { afterHelp, unwrapped } from '../../scripts/man-parts/after-help.mjs';
import { block, code, plain } from './markdown.mjs';

/**
 * Returns the page of a command, from the declarations that its manual page is made of.
 *
 * @param {import('commander').Command} command
 * @param {string} name as it is typed: kdump-mem memory
 */
export function commandPage(command, name) {
  const help = command.createHelp();
  const { examples, exitStatus, notes } = afterHelp(command);
  const rows = (each) => each.map(([term, words]) => `| ${code(term)} | ${plain(words)} |`);
  const table = (title, head, each) =>
    each.length === 0 ? [] : [`## ${title}`, [`| ${head} | does |`, '| --- | --- |', ...rows(each)].join('\n')];
  const parts = [
    `# ${name}`,
    plain(command.description()),
    block(`${name} ${command.usage()}`),
    ...table(
      'Arguments',
      'argument',
      help.visibleArguments(command).map((each) => [each.name(), each.description]),
    ),
    ...table(
      'Options',
      'option',
      help.visibleOptions(command).map((option) => [option.flags, help.optionDescription(option)]),
    ),
    ...(examples === undefined ? [] : ['## Examples', block(examples)]),
    ...(notes.length === 0 ? [] : ['## Notes', ...notes.map(noteOf)]),
    ...(exitStatus ? ['## Exit status', plain(exitStatus)] : []),
    `On a machine where it is installed: ${code(`man ${name.replace(' ', '-')}`)}.`,
  ];
  return `${parts.join('\n\n')}\n`;
}

/** Returns a paragraph; text in columns is unchanged. */
function noteOf(paragraph) {
  return /\S {2,}\S/.test(paragraph) ? block(paragraph) : plain(unwrapped(paragraph));
}
