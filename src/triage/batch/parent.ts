import { Worker } from 'node:worker_threads';

/** Stdin is a socket whose other end our parent holds: it ends when that ends, however that ends. */
const WATCH = `
const end = () => process.kill(process.pid, 'SIGKILL');
const line = new (require('node:net').Socket)({ fd: 0, readable: true, writable: false });
line.on('error', end).on('end', end).on('close', end).resume();
`;

/**
 * From now on this process ends with the one that started it, also while it computes: a thread of its own
 * watches.
 */
export function endWithParent(): void {
  new Worker(WATCH, { eval: true, stdin: false }).unref();
}
