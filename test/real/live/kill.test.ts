import { describeKills } from './kill-suite.js';

// The kernel whose network driver has a page pool; the others on demand.
describeKills('newest');
