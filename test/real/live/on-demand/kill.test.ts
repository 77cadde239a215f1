import { describeKills } from '../kill-suite.js';

for (const kernel of ['5.10', '6.1', '6.12'] as const) describeKills(kernel);
