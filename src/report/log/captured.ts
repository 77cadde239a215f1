import type { CapturedLogWhole } from '../../account/captured-log.js';
import type { LogRecord } from '../../log-records.js';
import { capturedJson } from '../captured.js';
import { messageJson } from './json.js';
import type { HostLogEndJson, HostLogJson } from './schema.js';

/** The log of a capture: `log --from FILE --json`. */
export function hostLogJson(whole: CapturedLogWhole, records: readonly LogRecord[]): HostLogJson {
  return {
    schema: 'kdump-mem.host-log/1',
    messages: records.map(messageJson),
    ...wholeJson(whole),
  };
}

/** The last line of `--ndjson`. */
export function hostLogEnd(whole: CapturedLogWhole, listed: number): HostLogEndJson {
  return { schema: 'kdump-mem.host-log-end/1', listed, ...wholeJson(whole) };
}

function wholeJson({ captured, omitted, overwritten, complete, warnings }: CapturedLogWhole) {
  return {
    captured: capturedJson(captured),
    ...{ omitted, overwritten, complete, warnings: [...warnings] },
  };
}
