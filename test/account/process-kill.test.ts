import { expect, test } from 'vitest';
import { accountProcess } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { openNative } from '../../src/kernel/native/open.js';
import { fixture } from '../support/fixtures.js';

test.each(['5.10', '6.1', 'newest'] as const)(
  'skb and sockets report the same freed memory for each process of %s',
  (name) => {
    const kernel = openNative({ files: [fixture(name).vmcore] });
    const { processes } = accountAll(kernel);
    let tried = 0;
    for (const { key, freedIfKilled } of processes) {
      if (!freedIfKilled?.between || freedIfKilled.high === null) continue;
      const { low, high, toPools, keptByPools, between } = freedIfKilled;
      const ours = accountProcess(kernel, Number.parseInt(key, 10)).freedIfKilled;
      // Only a census searches the other ends of its connections.
      expect(ours, key).toEqual({
        low,
        toPools,
        keptByPools,
        high: high - between.peers,
        between: { ...between, peers: 0 },
      });
      tried++;
    }
    kernel.close();
    expect(tried).toBeGreaterThan(25);
  },
);
