import { processSampleJson, procsSample } from '../../answers/growth/json.js';
import { WalkError } from '../../base/errors/walk.js';
import { formatJson } from '../../base/json.js';
import type { GrownProcess, GrowthAnswer } from '../../growth/answer.js';
import type { LiveSample } from './live-sample.js';
import { type ProcsOptions, selection } from './options.js';

/** @throws {WalkError} `no-such-pid`: there is nothing to watch */
export function checkThere({ answer }: LiveSample, options: ProcsOptions): void {
  const asked = options.pid !== undefined || options.container !== undefined;
  if (asked && !answer.processes.some(selection(options)))
    throw new WalkError('no-such-pid', 'no process matches --pid and --container');
}

/** Those that --pid and --container mean. */
export function chosen(
  { answer: { processes } }: LiveSample,
  answer: GrowthAnswer,
  options: ProcsOptions,
): GrownProcess[] {
  const meant = new Set(processes.filter(selection(options)).map(({ pid }) => pid));
  return answer.processes.filter(({ sample }) => meant.has(sample.who.pid));
}

/** A look as --ndjson prints it. */
export function* lookLines(
  found: LiveSample,
  answer: GrowthAnswer,
  look: number,
  options: ProcsOptions,
): Generator<string> {
  const { processes, warnings } = found.answer;
  const listed = chosen(found, answer, options);
  const whole = found.look.whole && listed.length === found.look.processes.length;
  const facts = { look, listed: listed.length, whole, warnings };
  yield `${formatJson(procsSample(answer, facts))}\n`;
  const figures = new Map(processes.map((process) => [process.pid, process]));
  for (const grown of listed) {
    const own = figures.get(grown.sample.who.pid);
    if (own) yield `${formatJson(processSampleJson(own, grown))}\n`;
  }
}
