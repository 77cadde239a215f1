import { ofRun } from '../../support/lab.js';
import { troublesSuite } from './troubles-suite.js';

for (const kernel of ofRun(['5.10', 'newest'] as const)) troublesSuite(kernel);
