import { tracedSuite } from '../../stacks/traced-suite.js';

for (const kernel of ['5.10', '6.1', '6.12', '6.12-arm64-16k'] as const) tracedSuite(kernel);
