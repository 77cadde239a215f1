/**
 * The text after the options in a command's help: examples, paragraphs, and its exit status.
 *
 * @param {import('commander').Command} command
 */
export function afterHelp(command) {
  let whole = '';
  command.configureOutput({ writeOut: (written) => (whole += written) });
  command.outputHelp();
  const behind = whole.slice(command.helpInformation().length);
  const paragraphs = behind.split(/\n{2,}/).map((each) => each.replace(/^\n+|\s+$/g, ''));
  const examples = paragraphs.find((each) => each.startsWith('Examples:'));
  const exit = paragraphs.flatMap((each) => /^Exit status: ([\s\S]*)$/m.exec(each)?.[1] ?? []);
  return {
    examples: examples?.replace('Examples:\n', '').replaceAll(/^ {2}/gm, ''),
    exitStatus: exit[0] && unwrapped(exit[0]),
    notes: paragraphs
      .filter((each) => each !== '' && each !== examples)
      .map((each) => each.replace(/^Exit status: [\s\S]*$/m, ''))
      .filter((each) => each.trim() !== ''),
  };
}

/** A paragraph in one line. */
export function unwrapped(paragraph) {
  return paragraph.replaceAll(/\s*\n\s*/g, ' ').trim();
}
