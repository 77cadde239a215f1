import { expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { socketsBlocks } from '../../../src/answers/sockets/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const answer = accountAll(fixtureKernel('6.1').kernel);
const top = Number.parseInt(answer.processes[0]!.key, 10);
const headline = (of: typeof answer) => /[^\n]*/.exec(textOf(of))![0];
const textOf = (of: typeof answer) => blockTexts(socketsBlocks(of, of.sockets, { limit: 20 }), null).join('\n\n');

test('reports unread data of an owner only if all queues of its sockets were read', () => {
  const unread = / holds (?:all|almost all|\d+ %) of it, in data that it has not read\./;
  const receives = answer.sockets.map((entry) => {
    const { total, queues } = entry;
    const own = entry.holders[0]?.pid === top ? { receive: Object.values(queues)[0]! } : queues;
    return { ...entry, total: { ...total, pinnedBytes: total.pinnedBytes + 2 ** 21 }, queues: own };
  });
  const whole = { ...answer, sockets: receives };
  expect(headline(whole)).toMatch(unread);
  const sockets = receives.map((entry) =>
    entry.holders[0]?.pid === top ? { ...entry, total: { ...entry.total, complete: false } } : entry,
  );
  expect(headline({ ...whole, sockets })).not.toMatch(unread);
  // Nor if a socket pins nothing only because its queues could not be read.
  const [one] = receives.filter(({ holders: [holder] }) => holder?.pid === top);
  const lost = { ...one!, total: { ...one!.total, pinnedBytes: 0, complete: false } };
  expect(headline({ ...whole, sockets: [...receives, lost] })).not.toMatch(unread);
});
