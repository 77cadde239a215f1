import { arm64Suite } from './suite.js';

arm64Suite('6.12-arm64-16k');
