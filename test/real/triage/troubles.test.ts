import { ALL_KERNELS } from '../../support/lab.js';
import { troublesSuite } from './troubles-suite.js';

if (ALL_KERNELS) troublesSuite('5.10');
troublesSuite('newest');
