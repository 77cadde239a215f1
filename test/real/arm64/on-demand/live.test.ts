import { liveSuite } from '../../live/live-suite.js';

// One with a symbol table of functions only, one with 16 KiB pages.
for (const kernel of ['6.1-arm64', '6.12-arm64-16k'] as const) liveSuite(kernel);
