import { once } from 'node:events';
import { expect, test } from 'vitest';
import { ownPipes, startGroup } from '../../../src/host/child.js';

/** Inodes of unix sockets as ss lists them while it is run by us. */
async function listed(): Promise<Set<number>> {
  const child = startGroup('ss', ['-H', '-x', '-a'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout?.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  await once(child, 'close');
  return new Set(Array.from(text.matchAll(/\S+ (\d+) +\S+ \d+ *$/gm), ([, inode]) => Number(inode)));
}

test('knows our end of the pipe that ss writes to, which ss lists', async () => {
  const before = new Set(ownPipes);
  const inodes = await listed();
  expect([...ownPipes].filter((inode) => !before.has(inode) && inodes.has(inode))).toHaveLength(1);
});
