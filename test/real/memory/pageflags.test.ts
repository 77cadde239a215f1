import { ofRun } from '../../support/lab.js';
import { pageflagsSuite } from './pageflags-suite.js';

// The oldest and the newest; scripts/test memory covers those between.
for (const kernel of ofRun(['5.10', 'newest'] as const)) pageflagsSuite(kernel);
