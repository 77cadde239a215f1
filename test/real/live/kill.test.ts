import { describeKills } from './kill-suite.js';

// The kernel whose network driver has a page pool; the others run on demand.
describeKills('newest');
