import { expect, test } from 'vitest';
import { AnswersError, stateOfAnswers } from '../../../src/answers/diff/read/answers.js';
import { diffJson } from '../../../src/answers/diff/render.js';
import { formatJson } from '../../../src/base/util.js';
import { compareStates } from '../../../src/diff/compare.js';
import { memoryAnswerAt, procsAnswerAt, socketsAnswerAt } from './answers.js';

/** Ticks of the last minute: no other field contradicts them. */
const WORKERS = (pss: number) => [
  { pid: 1, start: 10, pss: 4096 },
  { pid: 31, start: 520, pss },
];
const textAt = (minute: number, pss: number, sockets: number) =>
  [
    memoryAnswerAt(minute, { sockets, anonymous: 200_000 + pss / 4096 }),
    procsAnswerAt(minute, WORKERS(pss)),
    socketsAnswerAt(minute, { 5: 8192, 6: sockets * 4096 }),
  ]
    .map((each) => formatJson(each, 2))
    .join('\n');
const BEFORE = stateOfAnswers('before', textAt(2, 8192, 100));
const AFTER = textAt(47, 40_960_000, 50_000);

/** Members that nothing in an answer can contradict: names, times, socket owners, queued data. */
const UNCHECKED =
  /"pid": 4711|"(?:at|host|bootId|uptimeSeconds|release|family|fd|inode|netns|local|peer|sock|unreadBytes|driftBytes|caller|name|comm|message|threads)":/;

function answered(text: string) {
  return diffJson(compareStates([BEFORE, stateOfAnswers('after', text)]));
}

test('a changed digit is reported, changes nothing, or belongs to a name or a time', () => {
  const whole = formatJson(answered(AFTER));
  let [reportedCount, same]: [number, number] = [0, 0];
  const wrong = new Set<string>();
  for (const { index } of AFTER.matchAll(/\d/g)) {
    const line = AFTER.slice(AFTER.lastIndexOf('\n', index) + 1, AFTER.indexOf('\n', index));
    if (UNCHECKED.test(line)) continue;
    const digit = (Number(AFTER[index]) + 1) % 10;
    const text = `${AFTER.slice(0, index)}${digit}${AFTER.slice(index + 1)}`;
    try {
      const found = answered(text);
      if (!found.complete) reportedCount++;
      else if (formatJson(found) === whole) same++;
      else wrong.add(line.trim());
    } catch (error) {
      if (!(error instanceof AnswersError)) throw error;
      reportedCount++;
    }
  }
  expect([...wrong]).toEqual([]);
  expect(reportedCount).toBeGreaterThan(100);
  expect(same).toBeGreaterThan(0);
});
