import { stuckSuite } from '../../stacks/stuck-suite.js';

stuckSuite('6.12');
stuckSuite('newest');
