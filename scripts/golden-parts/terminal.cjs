// Preloaded into each command that scripts/golden runs. The date and the elapsed time are fixed. If COLUMNS is set, stdout looks like a
// terminal of that width. If the command checks whether stdout is a terminal, its answer may depend on the width, and
// the file that GOLDEN_CHECKED names is created.
const { writeFileSync } = require('node:fs');

const NOW = 1.7e12;
globalThis.Date = class extends Date {
  constructor(...at) {
    super(...(at.length === 0 ? [NOW] : at));
  }
  static now() {
    return NOW;
  }
};
performance.now = () => 0;

const { COLUMNS, GOLDEN_CHECKED } = process.env;
let isChecked = false;
if (COLUMNS !== undefined) process.stdout.columns = Number(COLUMNS);
Object.defineProperty(process.stdout, 'isTTY', {
  get() {
    if (!isChecked && GOLDEN_CHECKED !== undefined) writeFileSync(GOLDEN_CHECKED, '');
    isChecked = true;
    return COLUMNS !== undefined;
  },
});
