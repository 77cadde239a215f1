import { describeLeaks } from './leaks-suite.js';

describeLeaks('6.1', { oneIn: 1, seconds: 40, inBulk: true });
