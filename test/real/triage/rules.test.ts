import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memorySchema } from '../../../src/contracts/memory.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { labDump } from '../../support/lab.js';
import { scratchFolder } from '../../support/scratch.js';

const { elf } = labDump('6.1');
const folder = scratchFolder('rules-real-');

async function answerFor(rules: readonly object[]) {
  const file = join(folder, 'rules.json');
  writeFileSync(file, JSON.stringify({ schema: 'kdump-mem.rules/1', rules }));
  return kdumpMemJson(triageSchema, 'triage', elf, '--rules', file);
}

const rule = (code: string, when: object) => ({ code: `test/${code}`, severity: 'note', message: 'x', when });

test('rules match in a real dump exactly what its other answers contain', async () => {
  const [{ findings, rules, overwritten, noRoom }, memory, stacks, log] = await Promise.all([
    answerFor([
      rule('category', { memory: { category: 'page-tables', atLeastBytes: 1 } }),
      rule('full', { memory: { category: 'page-tables', atLeastShare: 0.9 } }),
      rule('owner', { owner: { name: 'stuffed', category: 'network-sockets', atLeastBytes: '1 MiB' } }),
      rule('tasks', { tasks: { state: 'S', atLeast: 1 }, stack: { symbol: '{who}', state: 'S' } }),
      rule('line', { log: 'Linux version {release} *' }),
      rule('no-line', { log: 'Linux version 1.0 *' }),
      rule('module', { module: 'no_such_module' }),
    ]),
    kdumpMem('memory', elf, '--json'),
    kdumpMem('stacks', elf, '--state', 'S', '--json'),
    kdumpMem('log', elf),
  ]);
  const figures = (code: string) => findings.find((finding) => finding.code === `test/${code}`)?.figures;
  const { memory: root } = memorySchema.parse(JSON.parse(memory.stdout));
  const tables = root.children.flatMap(({ children }) => children).find(({ category }) => category === 'page-tables');
  expect(tables?.bytes).toBeGreaterThan(0);
  expect(figures('category')).toMatchObject({ memoryBytes: tables?.bytes });
  expect(figures('owner')).toMatchObject({ ownerName: 'stuffed', ownerPid: expect.any(Number) });
  expect(figures('tasks')).toMatchObject({
    taskCount: JSON.parse(stacks.stdout).tasks,
    stackPid: expect.any(Number),
    who: expect.stringMatching(/^\w+/),
  });
  const isThere = /Linux version (\S+)/.exec(log.stdout)?.[1];
  expect(figures('line')?.release).toBe(isThere);
  for (const code of ['full', 'no-line', 'module']) expect(figures(code)).toBeUndefined();
  // A line that was overwritten may have matched.
  const isWhole = overwritten === 0 && noRoom === 0;
  const unknownCodes = rules?.unknown.map(({ code }) => code);
  expect(unknownCodes?.includes('test/no-line')).toBe(!isWhole);
  expect(unknownCodes).not.toContain('test/module');
});
