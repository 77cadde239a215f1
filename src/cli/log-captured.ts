import { type CapturedLogWhole, eachCaptured } from '../account/captured-log.js';
import type { LogChoice } from '../account/log.js';
import { capturedLog } from '../host/capture/log.js';
import { formatJson } from '../json.js';
import type { LogRecord } from '../log-records.js';
import { hostLogEnd, hostLogJson } from '../report/log/captured.js';
import { messageLine } from '../report/log/json.js';
import { type LogTextOptions, messageText } from '../report/log/text.js';
import { openCaptured } from './captured-source.js';
import { EXIT } from './failure.js';
import { printStream, printWarnings } from './output.js';

interface CapturedLogOptions extends LogTextOptions {
  readonly json?: true;
  readonly ndjson?: true;
  readonly strict?: true;
}

/**
 * Prints the log that a capture has, as that of a kernel is printed.
 *
 * @throws {HostError} it has none
 */
export async function answerCapturedLog(
  from: string,
  choice: LogChoice,
  options: CapturedLogOptions,
): Promise<void> {
  const { json, ndjson, strict } = options;
  const { host, of, warnings } = await openCaptured(from);
  const log = capturedLog(host.logText());
  const each = eachCaptured({ of, log, cut: host.logCut, warnings }, choice);
  const records: LogRecord[] = [];
  let complete = false;
  await printStream(
    (function* () {
      for (let listed = 0; ; listed++) {
        const { done, value } = each.next();
        if (done) {
          complete = value.complete;
          if (json) yield `${formatJson(hostLogJson(value, records), 2)}\n`;
          else if (ndjson) yield `${formatJson(hostLogEnd(value, listed))}\n`;
          else printRest(value);
          return;
        }
        if (json) records.push(value);
        else yield ndjson ? `${formatJson(messageLine(value))}\n` : messageText(value, options);
      }
    })(),
  );
  if (strict && !complete) process.exitCode = EXIT.incomplete;
}

function printRest({ overwritten, warnings }: CapturedLogWhole): void {
  if (overwritten)
    process.stderr.write(`kdump-mem: ${overwritten} older messages were overwritten.\n`);
  printWarnings(warnings);
}
