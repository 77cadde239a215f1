import { expect, test } from 'vitest';
import { blockedSchema } from '../../src/answers/blocked/schema.js';
import { kdumpMem } from '../support/cli.js';

const OF_INCIDENT = ['--vmcore', 'fixtures/incident.vmcore'];

test('a dump without the contents of stacks is no all-clear', async () => {
  const { stdout, stderr, status } = await kdumpMem('blocked', ...OF_INCIDENT);
  expect(stdout).toBe(
    'Unknown whether any of the 68 threads is blocked: stacks could not be read (see the warnings).\n',
  );
  expect(stderr).toContain(
    '65 parts of kernel memory that this answer needs are not in this extract',
  );
  expect(stderr).toContain(': the stack of pid 1');
  expect(status).toBe(0);
  const strict = await kdumpMem('blocked', '--strict', '--json', ...OF_INCIDENT);
  expect(strict.status).toBe(5);
  const { complete, locks, blocked, warnings } = blockedSchema.parse(JSON.parse(strict.stdout));
  expect({ complete, locks, blocked }).toEqual({ complete: false, locks: [], blocked: 0 });
  expect(warnings.map(({ code }) => code)).toContain('unreadable');
});

test('refuses engines and snapshots that have no locks', async () => {
  const crash = await kdumpMem('blocked', '--engine', 'crash', ...OF_INCIDENT);
  expect(crash).toMatchObject({ status: 2, stdout: '' });
  const snapshot = await kdumpMem('blocked', '--from', 'fixtures/host');
  expect(snapshot).toMatchObject({ status: 2, stdout: '' });
  expect(snapshot.stderr).toContain('blocked reads kernel memory');
});
