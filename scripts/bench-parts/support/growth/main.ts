// Writes fixtures/dumps/6.1 with a grown queue of the starving reader: main.js FILE SKBS KIND; prints the growth.
import { writeGrownQueue } from '../../../../test/support/dump/grown-queue.js';
import { fixture } from '../../../../test/support/fixtures.js';

const [path, skbs, kind] = process.argv.slice(2);
const { vmcore, truth } = fixture('6.1');
const role = truth.roles.find(({ name }) => name === 'starving');
if (!path || !skbs || !role || (kind !== 'plain' && kind !== 'clones')) {
  throw new Error('which file, how many skbs, plain or clones?');
}
process.stdout.write(JSON.stringify(writeGrownQueue(path, vmcore, role, Number(skbs), kind)));
