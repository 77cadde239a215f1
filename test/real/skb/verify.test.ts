import { expect, test } from 'vitest';
import { verifySchema } from '../../../src/contracts/verify.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, labKernel, labTool, oracleSocket, role } from '../../support/lab.js';

const { kdumpZlib, oracle, truth } = labDump('6.1');
const { pid, fd } = role(truth, 'starving');
const question = [
  'skb',
  '--pid',
  `${pid}`,
  '--fd',
  `${fd}`,
  '--vmcore',
  kdumpZlib,
  '--verbose',
  '--engine',
  'verify',
  '--vmlinux',
  labKernel('6.1').vmlinux,
  '--crash',
  labTool('crash'),
];

test('--engine verify reports that the two engines agree, skb by skb', async () => {
  const ran = await kdumpMem(...question, '--json');
  expect(ran).toMatchObject({ status: 0, stderr: '' });
  const { compared, differences } = verifySchema.parse(JSON.parse(ran.stdout));
  expect(differences).toEqual([]);
  // Four figures of each skb: how many there are depends on how the guest coalesced its messages.
  expect(compared).toBeGreaterThan(4 * oracleSocket(oracle, pid, fd).total.skbs);
});
