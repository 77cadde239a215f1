import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';

const FOLDER = fileURLToPath(new URL('../../../schemas', import.meta.url));
const VALID = fileURLToPath(new URL('valid.py', import.meta.url));

const { vmcore, truth } = fixture('6.1');
const { pid, fd } = truth.roles.find(({ fd }) => fd !== null && fd !== undefined) ?? {};
const ofProcess = ['skb', '--pid', `${pid}`, '--vmcore', vmcore];

/** Commands, and the names of the schemas of their output. */
const QUESTIONS = [
  [['skb', '--pid', `${pid}`, '--fd', `${fd}`, '--verbose', '--vmcore', vmcore], ['kdump-mem.skb/1']],
  [ofProcess, ['kdump-mem.skb-process/1']],
  [['sockets', '--by', 'process', '--vmcore', vmcore], ['kdump-mem.sockets/1']],
  [['info', '--vmcore', vmcore], ['kdump-mem.info/1']],
  [['struct', 'sk_buff', '--vmcore', vmcore], ['kdump-mem.struct/1']],
  [['struct', 'task_struct', 'init_task', '--vmcore', vmcore], ['kdump-mem.struct-instance/1']],
  [['read', 'init_task', '--vmcore', vmcore], ['kdump-mem.read/1']],
  [['whatis', 'init_task', '--vmcore', vmcore], ['kdump-mem.whatis/1']],
  [['triage', '--vmcore', vmcore], ['kdump-mem.triage/1']],
  [['diff', vmcore, fixture('6.12').vmcore], ['kdump-mem.diff/1']],
  [['explain'], ['kdump-mem.explain/1']],
] as const;

/**
 * Violations that Debian’s python3-jsonschema finds in lines of JSON, and the names of their
 * schemas.
 */
function heldAgainst(lines: string): string[] {
  const { status, stdout, stderr } = spawnSync('/usr/bin/python3', [VALID, FOLDER], { input: lines, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout.trimEnd().split('\n');
}

/** An answer rewritten by jq, on one line. */
function throughJq(answer: string): string {
  const { status, stdout, stderr } = spawnSync('jq', ['-c', '.'], { input: answer, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

test.each(QUESTIONS)('%j prints output that conforms to its published schema', async (args, names) => {
  const { stdout, stderr } = await kdumpMem(...args, '--json');
  const line = throughJq(stdout || stderr);
  expect(heldAgainst(line)).toEqual(names);
  // Without a required field the schema is violated.
  const [field = ''] = Object.keys(JSON.parse(line)).filter((key) => key !== 'schema');
  const { [field]: _, ...rest } = JSON.parse(line);
  expect(heldAgainst(JSON.stringify(rest))[0]).toContain(`'${field}' is a required property`);
});

test.each([
  [['sockets', '--ndjson', '--vmcore', vmcore], /^(kdump-mem\.socket\/1 )+kdump-mem\.sockets-end\/1$/],
  [['triage', '--ndjson', vmcore], /^kdump-mem\.triage-line\/1 kdump-mem\.triage-end\/1$/],
])('%j prints lines that conform to their published schemas', async (args, names) => {
  const { stdout } = await kdumpMem(...args);
  expect(heldAgainst(stdout)).toEqual([expect.stringMatching(names)]);
});
