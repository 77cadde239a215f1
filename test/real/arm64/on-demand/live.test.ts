import { liveSuite } from '../../live/live-suite.js';

// With a table of functions only, and with pages of 16 KiB.
for (const kernel of ['6.1-arm64', '6.12-arm64-16k'] as const) liveSuite(kernel);
