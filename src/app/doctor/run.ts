import { formatJson } from '../../base/json.js';
import type { CheckCode } from '../../doctor/check.js';
import { printAnswer } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';
import { VERSION } from '../kit/version.js';

/** Says what of this machine can be used, and what not. @param codes of these alone */
export async function printDoctor(
  program: 'kdump-mem' | 'skcheck',
  { json }: { readonly json?: boolean },
  codes?: readonly CheckCode[],
): Promise<void> {
  const [{ examine }, { here }] = await Promise.all([
    import('../../doctor/checks.js'),
    import('../../doctor/machine.js'),
  ]);
  const checks = examine(here, codes);
  if (json) {
    const { doctorJson } = await import('../../answers/doctor/json.js');
    printAnswer(formatJson(doctorJson(checks, VERSION), 2));
    return;
  }
  const { doctorText } = await import('../../answers/doctor/text.js');
  printAnswer(doctorText(checks, `${program} ${VERSION}`, terminalWidth()));
}
