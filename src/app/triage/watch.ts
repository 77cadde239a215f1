import { watchPageFrame, watchWhen } from '../../answers/text/watch-page.js';
import { triageJson } from '../../answers/triage/json.js';
import { triageWatchBlock, triageWatchEnd, triageWatchPage } from '../../answers/triage/watch.js';
import { formatJson } from '../../base/util.js';
import type { HostTriage } from '../../triage/answer.js';
import { type FailOn, type Finding, isFailing } from '../../triage/finding.js';
import { type TriageSample, TriageSamples } from '../../triage/watch.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import { SampleLoop, WatchScreen } from '../kit/screen.js';
import { takesEscapes, terminalWidth } from '../kit/terminal.js';

export interface TriageWatchOptions {
  /** Seconds between the starts of two samples. */
  readonly interval?: number;
  readonly count?: number;
  readonly json?: true;
  readonly strict?: true;
}

const USUAL_SECONDS = 10;

/**
 * Checks this machine until it is interrupted, the requested number of times, or until a finding of --fail-on
 * appears. On a terminal it redraws a table; in a pipe it prints what changed. With `--json` it prints one
 * JSON object per sample, and a last line that marks the end.
 */
export async function watchTriage(
  look: () => Promise<HostTriage>,
  { interval = USUAL_SECONDS, count = Number.POSITIVE_INFINITY, json, strict }: TriageWatchOptions,
  failing: FailOn | null,
): Promise<void> {
  const again = new SampleLoop();
  const screen = takesEscapes() && !json ? triageScreen(interval, again.stop) : null;
  const samples = new TriageSamples();
  let isFailed = false;
  const begun = performance.now();
  try {
    await again.run(interval, count, async () => {
      const answer = await look();
      if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
      const sample = samples.next(answer, new Date());
      if (screen) screen.show(sample);
      else {
        const text = json ? formatJson(triageJson(answer)) : triageWatchBlock(sample, terminalWidth());
        if (text !== undefined) printAnswer(text);
      }
      // An event may be over before the next sample, and still have occurred while this command waited.
      const waited = (performance.now() - begun) / 1000;
      const isNew = ({ past, figures }: Finding) => !past || Number(figures.secondsAgo ?? waited) < waited;
      isFailed = failing !== null && answer.findings.some((finding) => isNew(finding) && isFailing(failing, finding));
      if (isFailed) again.stop();
    });
    if (json) printAnswer(formatJson(triageWatchEnd(again.count, again.interrupted && !isFailed)));
  } finally {
    screen?.end();
  }
  if (isFailed) process.exitCode = EXIT.differs;
}

function triageScreen(interval: number, quit: () => void): WatchScreen<TriageSample> {
  return new WatchScreen<TriageSample>({
    waiting: 'checking …',
    quit,
    frame: (sample, view) =>
      watchPageFrame(triageWatchPage(sample, view.columns), view, watchWhen(sample.number, sample.at, interval)),
  });
}
