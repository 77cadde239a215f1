import { existsSync } from 'node:fs';
import { describe, test } from 'vitest';
import { checkScene, OTHER_SCENES, SOME_SCENES } from '../scenes.js';

describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)(
  'live incidents (needs root, and no /proc/kcore)',
  () => {
    test.each([...SOME_SCENES, ...OTHER_SCENES])('$name: owner, amount and next command', checkScene);
  },
);
