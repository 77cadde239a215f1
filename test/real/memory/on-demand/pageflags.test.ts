import { pageflagsSuite } from '../pageflags-suite.js';

pageflagsSuite('6.1');
pageflagsSuite('6.12');
