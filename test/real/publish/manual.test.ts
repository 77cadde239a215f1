import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { skcheckCommand } from '../../../src/app/skcheck/options.js';
import { commands } from '../../support/commands.js';

const FOLDER = fileURLToPath(new URL('../../../dist/man/', import.meta.url));
const PAGES = [
  ...(await commands()).map((command) => [`kdump-mem-${command.name()}`, command] as const),
  ['skcheck', skcheckCommand()] as const,
];

/** The displayed text of a page, without bold and underlines. */
function shown(name: string): string {
  const { stdout, stderr } = spawnSync('mandoc', ['-T', 'utf8', '-O', 'width=200', `${FOLDER}${name}.1`], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.replaceAll(/.[\b]/g, '');
}

test('there is a page for each command, and for both programs', () => {
  const names = [...PAGES.map(([name]) => name), 'kdump-mem'].map((name) => `${name}.1`);
  expect(readdirSync(FOLDER).toSorted()).toEqual(names.toSorted());
});

test.each([...PAGES.map(([name]) => name), 'kdump-mem'])('mandoc accepts %s', (name) => {
  const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', `${FOLDER}${name}.1`], { encoding: 'utf8' });
  const complaints = stdout.split('\n').filter((line) => line !== '');
  // A page has no date, so that builds are reproducible.
  expect(complaints.filter((line) => !line.includes('missing date'))).toEqual([]);
});

describe.each(PAGES)('%s', (name, command) => {
  test('has every option with its full description, every example and the exit status', () => {
    const page = shown(name);
    const help = command.createHelp();
    for (const option of help.visibleOptions(command)) {
      expect(page).toContain(option.flags.replaceAll(/[<>]/g, ''));
      expect(words(page)).toContain(words(help.optionDescription(option)));
    }
    let whole = '';
    command.configureOutput({ writeOut: (text) => (whole += text) });
    command.outputHelp();
    const examples = whole.split('\n').filter((line) => /^ {2,4}(kdump-mem|skcheck) /.test(line));
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(words(page)).toContain(words(example));
    expect(page).toMatch(/EXIT STATUS\n +0 /);
  });
});

/** The same words, whatever the line breaks. */
function words(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
