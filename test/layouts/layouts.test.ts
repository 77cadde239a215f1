import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openTypesFile } from '../../src/kernel/native/foreign-types/open.js';
import { limitsOf } from '../../src/walk/limits.js';
import { layoutKernel } from '../support/made-kernel.js';
import { DECLARED, type Declarations, declaredBtf } from './declared.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Types of kernels: raw BTF (.btf) or packed (.btf.xz). */
const FOLDER = process.env.KDUMP_MEM_TYPES ?? join(ROOT, '../shared/types');

const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => /\.(btf|json)(\.xz)?$/.test(name)) : [];

test.skipIf(files.length === 0)(
  "types of each kernel contain every walker's structs, or are named (skipped without a folder of types)",
  () => {
    const table = files.map((name) => {
      const path = join(FOLDER, name);
      const options = { maxBuffer: 256 << 20 };
      const types = () => (name.endsWith('.xz') ? execFileSync('xz', ['-dc', path], options) : readFileSync(path));
      const from = name.includes('.json') ? openTypesFile(path).load() : types();
      const kernel = layoutKernel(from, /aarch64|arm64/.test(name) ? 'arm64' : 'x86_64');
      return [name, limitsOf(kernel)] as const;
    });
    if (process.env.KDUMP_MEM_LAYOUTS) process.stdout.write(`${JSON.stringify(table, null, 1)}\n`);
    for (const [name, limits] of table) {
      const limited = [...new Set(limits.map(({ command, part }) => `${command}: ${part}`))];
      // Volatility's tables lack members of unions; docs/types.md lists what EL7's 3.10 lacks.
      if (name.includes('.json')) {
        const others = limited.filter((one) => /^(procs|stacks|log)/.test(one));
        if (name.includes('4.18.0')) expect([name, others]).toEqual([name, []]);
        continue;
      }
      // Every command answers on every kernel from 4.14 on.
      const known = /^4\.1[45]\./.test(name) ? ['memory: page tables'] : [];
      expect([name, limited]).toEqual([name, known]);
    }
  },
);

/** The parts that commands omit on a kernel with these declarations. */
function limited(table: Declarations): string[] {
  const limits = limitsOf(layoutKernel(declaredBtf(table), 'x86_64'));
  return [...new Set(limits.map(({ command, part }) => `${command}: ${part}`))];
}

test.each([
  ['4.14', ['memory: page tables']],
  ['4.18', []],
  ['5.4', []],
] as const)('%s declares the structs of every command', (version, parts) => {
  expect(limited(DECLARED[version])).toEqual(parts);
});

/** Removes a member, or a whole struct, from a table. */
function without(table: Declarations, struct: string, member?: string): Declarations {
  const line = table.get(struct)!;
  const [head, members] = line.split(': ');
  const left = members!.split(', ').filter((one) => one.split(' ')[0] !== member);
  const changed = new Map(table);
  if (member === undefined || left.length === 0) changed.delete(struct);
  else changed.set(struct, `${head}: ${left.join(', ')}`);
  return changed;
}

test.each(Object.entries(DECLARED))('%s without any single member answers, or names a part', (_, table) => {
  for (const [struct, line] of table) {
    if (struct.startsWith('enum ')) continue;
    for (const member of line.slice(line.indexOf(': ') + 2).split(', '))
      expect(() => limited(without(table, struct, member.split(' ')[0]!))).not.toThrow();
  }
});
