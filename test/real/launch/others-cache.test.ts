import { chownSync, lchownSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Installed } from '../../support/launched.js';

/** Any user but root, who runs these tests. */
const OTHER = 65534;

let installed: Installed;
beforeEach(async () => {
  installed = new Installed();
  expect(await version()).toBe('compiled');
  expect(await version()).toBe('cached');
});
afterEach(() => installed.remove());

async function version(env: NodeJS.ProcessEnv = {}) {
  const { status, stderr, code } = await installed.run(['--version'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return code;
}

describe('root runs no compiled code that another user may have written', () => {
  test('in a folder of that user', async () => {
    chownSync(installed.cache, OTHER, 0);
    expect([await version(), await version()]).toEqual(['compiled', 'compiled']);
  });

  test('in a file of that user', async () => {
    const [name = ''] = readdirSync(installed.cache);
    chownSync(join(installed.cache, name), OTHER, 0);
    expect([await version(), await version()]).toEqual(['compiled', 'cached']);
    expect(statSync(join(installed.cache, name)).uid).toBe(0);
  });

  test('in a home of that user, who can replace folders of root; none is created there', async () => {
    chownSync(installed.cacheHome, OTHER, OTHER);
    expect([await version(), await version()]).toEqual(['compiled', 'compiled']);
    lchownSync(installed.folder, OTHER, OTHER);
    const env = { XDG_CACHE_HOME: undefined, HOME: installed.folder };
    expect([await version(env), await version(env)]).toEqual(['compiled', 'compiled']);
    expect(readdirSync(installed.folder)).not.toContain('.cache');
  });
});
