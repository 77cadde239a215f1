import { existsSync } from 'node:fs';
import { describe, test } from 'vitest';
import {
  checkGrowth,
  checkScene,
  checkSnapshot,
  OTHER_SCENES,
  SNAPSHOT_WRITERS,
  SOME_SCENES,
  UNSEEN_SCENES,
} from '../scenes.js';

const ALL = [...SOME_SCENES, ...OTHER_SCENES, ...UNSEEN_SCENES];
const scenes = (...programs: readonly string[]) => ALL.filter(({ program }) => programs.includes(program));
/** Growth of a scene: its category, and the figure with the amount. */
const GROWTHS = [
  ['full_pipes', 'unattributed', 'mostBytes'],
  ['java', 'anonymous', 'ownerBytes'],
  ['zgc', 'shared', 'grownBytes'],
  ['container', 'shared', 'fileBytes'],
] as const;

describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)(
  'live incidents (needs root, and no /proc/kcore)',
  () => {
    test.each(ALL)('$name: owner, amount and next command', checkScene);

    const captured = [
      'hoard_many',
      'own_table',
      'container',
      'full_pipes',
      'deleted',
      'chroot',
      'unmounted',
      'postgres',
      'zgc',
    ];
    describe.each(SNAPSHOT_WRITERS)('in a snapshot of %s', (writer) => {
      test.each(scenes(...captured))('$name: the same owner', (scene) => checkSnapshot(scene, writer));
    });

    test.each(GROWTHS)('growth of %s since a snapshot: category %s and owner', async (program, category, figure) => {
      for (const scene of scenes(program)) await checkGrowth(scene, category, figure);
    });
  },
);
