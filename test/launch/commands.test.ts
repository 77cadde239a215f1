import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandPath, kdumpMem } from '../support/cli.js';
import { COMMAND_NAMES } from '../support/commands.js';
import { Installed, launch } from '../support/launched.js';

let installed: Installed;
beforeAll(() => {
  installed = new Installed();
});
afterAll(() => installed.remove());

describe('kdump-mem', () => {
  test('lists every command in its help', async () => {
    const { stdout, status } = await kdumpMem('--help');
    expect(status).toBe(0);
    const listed = [...stdout.matchAll(/^ {2}([a-z][a-z-]*) \[/gm)].map(([, name]) => name);
    expect(listed.toSorted()).toEqual([...COMMAND_NAMES, 'help'].toSorted());
  });

  test.each(COMMAND_NAMES)('has a separate bundle for %s, which contains no other command', async (name) => {
    const own = await installed.run([name, '--help']);
    expect(own).toMatchObject({ status: 0, stderr: '' });
    expect(own.stdout).toContain(`Usage: kdump-mem ${name} `);
    const { stdout } = await installed.run(['help', name]);
    expect(stdout).toBe(own.stdout);
    const bundle = readFileSync(join(installed.bin, `bundles/kdump-mem-${name}.js`), 'utf8');
    // Completion and tools of agents are generated from the declarations of the others.
    if (name === 'completion' || name === 'mcp') return;
    for (const other of COMMAND_NAMES) expect(bundle.includes(`command("${other}")`)).toBe(other === name);
  });

  test('loads schemas only for data that they parse: maps, stores, answers', () => {
    const has = (name: string) => readFileSync(join(installed.bin, `bundles/${name}.js`), 'utf8').includes('ZodError');
    expect(has('map-schema')).toBe(true);
    const without = [
      'skb',
      'sockets',
      'info',
      'read',
      'struct',
      'stacks',
      'memory',
      'whatis',
      'refs',
      'blocked',
      'log',
      'snapshot',
      'doctor',
    ];
    for (const name of without) expect(has(`kdump-mem-${name}`)).toBe(false);
  });

  test('accepts a command after --, where nothing is an option', async () => {
    expect(await kdumpMem('--', 'info')).toEqual(await kdumpMem('info'));
    expect((await kdumpMem('--', 'info')).stderr).toContain('use either --vmcore FILE or --live');
    expect((await kdumpMem('--', '--', 'info')).stderr).toContain("unknown command '--'");
  });

  test('rejects a command that is a path', async () => {
    const { stderr, status } = await kdumpMem('../bundles/kdump-mem-skb');
    expect(status).toBe(2);
    expect(stderr).toContain("unknown command '../bundles/kdump-mem-skb'");
  });
});

test.each(['kdump-mem', 'skcheck'] as const)('./%s runs it from a clone', async (name) => {
  const path = fileURLToPath(new URL(`../../${name}`, import.meta.url));
  const { PATH } = process.env;
  const direct = await launch(process.execPath, [commandPath(name), '--help'], { PATH });
  expect(direct).toMatchObject({ status: 0, stdout: expect.stringContaining(`Usage: ${name}`) });
  expect(await launch(path, ['--help'], { PATH })).toEqual(direct);
});
