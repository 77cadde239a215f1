import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/app/kit/commands.js';
import { KERNEL_FILES } from '../../../src/app/kit/kernel-source.js';
import { commands } from '../../support/commands.js';
import { ROOT, textOf } from '../../support/documents.js';
import { kdumpMem } from '../../support/in-process.js';

const declared = await commands();
const names = declared.map((command) => command.name());
const optionsOf = (name: string) => declared.find((command) => command.name() === name)?.options ?? [];
const accepting = Object.keys(COMMANDS).filter((name) => COMMANDS[name]?.snapshot === 'accepted');

describe('the list of commands', () => {
  test('has each declared command', () => {
    expect(Object.keys(COMMANDS).toSorted()).toEqual([...names, 'help'].toSorted());
  });

  test('names those that read kernels and snapshots', () => {
    const has = (name: string, option: string) => optionsOf(name).some(({ long }) => long === option);
    const both = names.filter((name) => has(name, '--vmcore') && has(name, '--from') && name !== 'mcp');
    expect(accepting.toSorted()).toEqual(both.toSorted());
  });

  test('is that of the advice on a snapshot', async () => {
    const { stderr } = await kdumpMem('refs', '--from', 'snapshot.tar.gz');
    const [, list = ''] = /contain\. (.*) and skcheck accept --from\.\n$/.exec(stderr) ?? [];
    expect(list.split(', ').toSorted()).toEqual(accepting.toSorted());
  });

  test('is that of the tables of README', () => {
    const rows = textOf('README.md')
      .split('\n')
      .filter((line) => /^\| (?:\[`|`)/.test(line));
    const listed = rows.flatMap((line) =>
      Array.from(line.split(' | ')[0]?.matchAll(/`([^`]+)`/g) ?? [], ([, name = '']) => name),
    );
    expect([...listed, 'completion', 'help'].toSorted()).toEqual([...Object.keys(COMMANDS), 'skcheck'].toSorted());
  });

  test('has a manual page each in package.json', () => {
    const { man } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { man: string[] };
    const pages = ['kdump-mem', 'skcheck', ...names.map((name) => `kdump-mem-${name}`)];
    expect(man.toSorted()).toEqual(pages.map((page) => `dist/man/${page}.1`).toSorted());
  });
});

test('files for reading a kernel are options of every command that reads one', () => {
  const others = ['vmcore', 'live', 'engine', 'btf'];
  const known = optionsOf('info').map((option) => option.attributeName());
  const ofSource = known.slice(0, known.indexOf('btf') + 1);
  expect(ofSource.filter((name) => !others.includes(name)).toSorted()).toEqual([...KERNEL_FILES].toSorted());
});
