import { troublesSuite } from './troubles-suite.js';

// The oldest and the newest; those between are looked at on demand.
troublesSuite('5.10');
troublesSuite('newest');
