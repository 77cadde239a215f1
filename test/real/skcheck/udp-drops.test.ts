import { afterAll, expect, test } from 'vitest';
import { bound } from './queues.js';
import { type Actor, Stage, skcheckJson, until } from './stage.js';

const stage = new Stage();
afterAll(() => stage.end());

/** sk_drops, as the kernel counts it. */
function dropsOf({ port }: Actor): number {
  return Number(/,d(\d+)\)/.exec(bound('-u', port)?.text ?? '')?.[1]);
}

/** A stopped process, and more datagrams than its queue has room for. */
async function stoppedReader(bursts: boolean): Promise<Actor> {
  const reader = await stage.start('udp');
  reader.stop();
  await stage.start('datagrams', { port: reader.port, count: 2000, bursts });
  await until(() => dropsOf(reader) > 0);
  return reader;
}

function lookAt({ pid }: Actor) {
  const { report } = skcheckJson(['--interval', '1', '--pid', `${pid}`]);
  return report.sockets.find(({ protocol }) => protocol === 'UDP');
}

test('growing drops at a full queue of a stalled reader are counted in addition to its verdict', async () => {
  const reader = await stoppedReader(true);
  const before = dropsOf(reader);
  const socket = lookAt(reader);
  const grew = dropsOf(reader) - before;
  expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader' });
  expect(socket?.also).toMatchObject([{ verdict: 'udp-dropping', certainty: 'proved' }]);
  const packets = Number(socket?.also[0]?.reasons[0]?.figures.packets);
  expect(packets).toBeGreaterThan(0);
  expect(packets).toBeLessThanOrEqual(grew);
  expect(socket?.also[0]?.because).toMatch(/: its queue is full \(.* of .*\)/);
});

test('drops that do not grow are history', async () => {
  const reader = await stoppedReader(false);
  const socket = lookAt(reader);
  expect(socket?.stalled.verdict).toBe('stalled-reader');
  expect(socket?.also).toEqual([]);
  expect(socket?.stalled.reasons).toContainEqual({
    code: 'dropped-before',
    figures: { packets: dropsOf(reader), watchedMs: expect.any(Number) },
  });
  expect(socket?.stalled.because).toMatch(/dropped before the first sample, none in the .* since/);
});
