import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { mcpAnswerSchema } from '../../../../src/answers/mcp/schema.js';
import { commandPath } from '../../../support/cli.js';
import { ROOT } from '../../../support/documents.js';
import { incident } from '../../../support/fixtures.js';
import { scratchFolder } from '../../../support/scratch.js';

/** Installed by scripts/test inspector, with a Node that supports it. */
const MODULES = join(ROOT, 'test/inspector/node_modules');
const home = scratchFolder('kdump-mem-inspector-');

const { vmcore, truth } = incident();

/** Output of the protocol's own inspector for the server, which runs on this Node. */
async function inspected(...words: readonly string[]): Promise<unknown> {
  const server = [process.execPath, commandPath('kdump-mem'), 'mcp', '--vmcore', vmcore];
  const { stdout } = await execa(
    join(MODULES, 'node-22/bin/node'),
    [join(MODULES, '.bin/mcp-inspector'), '--cli', ...server, ...words],
    { env: { HOME: home }, stdin: 'ignore', timeout: STEP_MS },
  );
  return JSON.parse(stdout);
}

test('the inspector lists tools and resources', async () => {
  const { tools } = Object(await inspected('--method', 'tools/list'));
  expect(tools).toHaveLength(12);
  expect(tools).toContainEqual(expect.objectContaining({ name: 'triage' }));
  const { resources } = Object(await inspected('--method', 'resources/list'));
  expect(resources).toContainEqual(expect.objectContaining({ uri: 'kdump-mem://explain' }));
});

test('the inspector calls a tool, and accepts its answer', async () => {
  const words = ['--method', 'tools/call', '--tool-name', 'skb', '--tool-arg', `pid=${truth.drgn.pid}`];
  const { structuredContent, content } = Object(await inspected(...words));
  expect(mcpAnswerSchema.parse(structuredContent).answer).toMatchObject({ process: { comm: truth.drgn.comm } });
  expect(content).toMatchObject([{ type: 'text', text: expect.stringContaining(truth.drgn.comm) }]);
});
