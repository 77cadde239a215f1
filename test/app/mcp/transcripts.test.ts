import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, textOf } from '../../support/documents.js';
import { McpClient } from '../../support/mcp.js';

/**
 * Calls of docs/mcp.md and their printed answers: `…` stands for the end of a line, and alone for
 * lines.
 */
const shown = [...textOf('docs/mcp.md').matchAll(/^```\n> (\w+) (\{[^\n]*\})\n(.*?)\n```$/gms)].map(
  ([, tool = '', args = '', text = '']) => [tool, args, text] as const,
);

let server: McpClient;
beforeAll(async () => {
  server = await McpClient.connect('--vmcore', `${ROOT}/fixtures/incident.vmcore`.replace('//', '/'));
});
afterAll(() => server.client.close());

test('docs/mcp.md has five investigations', () => {
  expect(textOf('docs/mcp.md').match(/^\*\*.*\?\*\* /gm)).toHaveLength(5);
  expect(shown.length).toBeGreaterThanOrEqual(10);
});

const literally = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

test.each(shown)('docs/mcp.md: %s %s', async (tool, args, expected) => {
  const { text } = await server.call(tool, JSON.parse(args));
  const lines = expected
    .split('\n')
    .map((line) => (line === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(literally).join('.*')}\\n`));
  const plain = text.replaceAll(/ +$/gm, '').replaceAll(`${ROOT}/`.replace('//', '/'), '');
  expect(`${plain}\n`).toMatch(new RegExp(`^${lines.join('')}$`));
});
