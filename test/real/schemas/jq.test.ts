import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allCodes } from '../../../src/answers/explain/codes.js';
import { commandPath } from '../../support/cli.js';
import { commandLines, DOCUMENTS, textOf } from '../../support/documents.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('kdump-mem-jq-');
const command = join(folder, 'kdump-mem');
writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${commandPath('kdump-mem')}' "$@"\n`);
chmodSync(command, 0o755);

const LINES = DOCUMENTS.flatMap((path) =>
  commandLines(textOf(path)).filter((line) => /^kdump-mem .*\| jq /.test(line)),
);

/** A command line of a document, as a shell runs it. */
function run(line: string): unknown {
  const dump = `--vmcore '${fixture('6.1').vmcore}'`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line.replace('--vmcore vmcore', dump)], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
  });
  expect([line, stderr, status]).toEqual([line, '', 0]);
  return JSON.parse(stdout);
}

test('the documents query kdump-mem’s JSON with jq', () => {
  expect(LINES).toHaveLength(2);
});

test.each(LINES)('%s', (line) => {
  const result = run(line);
  const codes = JSON.stringify(result).match(/"[a-z]+(?:-[a-z]+)+"/g) ?? [];
  for (const code of codes) expect(allCodes()).toContain(JSON.parse(code));
  if (!line.includes('stacks')) return;
  // The extract lacks stacks: each of them has its code.
  expect(result).toEqual(
    expect.arrayContaining([{ code: expect.any(String), at: expect.anything(), pids: expect.anything() }]),
  );
});
