import { readFileSync } from 'node:fs';
import { afterHelp, unwrapped } from './after-help.mjs';
import { bold, italic, preformatted, text } from './roff.mjs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Programs of other packages have their pages in other sections. */
const SECTIONS = { ss: 8 };

/**
 * The manual page of a command, in roff's man macros (man(7)).
 *
 * @param {import('commander').Command} command
 * @param {{ name: string, also: readonly string[] }} page its name, and the pages that it names at its end
 */
export function manualPage(command, { name, also }) {
  const { examples, exitStatus, notes } = afterHelp(command);
  const sections = [
    // The date is the version's: a page is the same whenever it is made.
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1 "" "kdump\\-mem ${version}" "kdump\\-mem"`,
    section('NAME', [`${text(name)} \\- ${text(command.description())}`]),
    section('SYNOPSIS', [`${bold(name.replace(/^kdump-mem-/, 'kdump-mem '))} ${text(command.usage())}`]),
    section('COMMANDS', commandRows(command)),
    section('ARGUMENTS', argumentRows(command)),
    section('OPTIONS', optionRows(command)),
    section('EXAMPLES', examples && preformatted(examples)),
    section('NOTES', notesOf(notes)),
    section('EXIT STATUS', exitStatus && [text(exitStatus)]),
    section('SEE ALSO', [also.map((page) => `${bold(page)}(${SECTIONS[page] ?? 1})`).join(', ')]),
  ];
  return `${sections.flat().join('\n')}\n`;
}

/** @param {readonly string[] | undefined} lines */
function section(title, lines = []) {
  return lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
}

function commandRows(command) {
  const rows = command.createHelp().visibleCommands(command);
  return rows.flatMap((each) => row(bold(each.name()), each.description()));
}

function argumentRows(command) {
  return command
    .createHelp()
    .visibleArguments(command)
    .flatMap((each) => row(italic(each.name()), each.description));
}

function optionRows(command) {
  const help = command.createHelp();
  return help.visibleOptions(command).flatMap((option) => row(flags(option.flags), help.optionDescription(option)));
}

/** `-v, --vmcore <file>`: what is typed bold, what is put in its place italic. */
function flags(written) {
  return written
    .split(/(<[^>]+>|\[[^\]]+\])/)
    .map((part) => (/^[<[]/.test(part) ? italic(part.replace(/^<(.*)>$/, '$1')) : part.replaceAll(/--?[\w-]+/g, bold)))
    .join('');
}

function row(term, description) {
  return ['.TP', term, text(description)];
}

/** Paragraphs; what is in columns stays as it is. */
function notesOf(paragraphs) {
  return paragraphs.flatMap((each, index) => [
    ...(index > 0 ? ['.PP'] : []),
    ...(/\S {2,}\S/.test(each) ? preformatted(each) : [text(unwrapped(each))]),
  ]);
}
