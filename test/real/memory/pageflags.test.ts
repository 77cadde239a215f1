import { pageflagsSuite } from './pageflags-suite.js';

// The oldest and the newest; those between are looked at on demand.
pageflagsSuite('5.10');
pageflagsSuite('newest');
