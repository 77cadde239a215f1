// What the guest's program (truth.json) and drgn (oracle.json) say of a lab dump, less what no test
// on a fixture compares: JSON on stdout, one socket a line.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: fixture-truth.mjs .lab/dumps/VER');

const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const truth = read('truth.json');
const oracle = read('oracle.json');

const figures = ({ slabSlots: _, ...rest }) => rest;
const sockets = oracle.sockets.map((socket) => {
  const { pages: _, meminfo: __, numbers: ___, queues, total, ...rest } = socket;
  if (queues === undefined) return rest;
  const kept = Object.entries(queues).map(([name, queue]) => [name, figures(queue)]);
  return { ...rest, queues: Object.fromEntries(kept), total: figures(total) };
});
const roles = truth.roles.map(({ name, kind, pid, comm, fd, skbs, bytes }) => {
  return { name, kind, pid, comm, fd, skbs, bytes };
});
const lines = (all) => `[\n${all.map((one) => `  ${JSON.stringify(one)}`).join(',\n')}\n ]`;
process.stdout.write(
  `{\n "release": ${JSON.stringify(truth.release)},\n "pageSize": ${truth.pageSize},\n` +
    ` "kernelThread": ${JSON.stringify(truth.kernelThread)},\n` +
    ` "roles": ${lines(roles)},\n "sockets": ${lines(sockets)}\n}\n`,
);
