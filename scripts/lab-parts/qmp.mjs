// QEMU's machine protocol: one JSON object per line, each way.
import { createInterface } from 'node:readline';

/** @typedef {import('node:net').Socket} Socket */

export class Qmp {
  /** @type {Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #id = 0;
  #socket;

  /** @param {Socket} socket connected to QEMU */
  constructor(socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => this.#end());
    const lines = createInterface({ input: socket });
    // readline tells its input's errors again.
    lines.on('error', () => {});
    lines.on('line', (line) => this.#receive(JSON.parse(line)));
  }

  /** @param {{ id?: number, return?: unknown, error?: { desc: string } }} message */
  #receive({ id, return: result, error }) {
    if (id === undefined) return;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(`QEMU: ${error.desc}`));
  }

  #end() {
    for (const { reject } of this.#waiting.values()) reject(new Error('QEMU has ended'));
    this.#waiting.clear();
  }

  /**
   * @param {string} command
   * @param {Record<string, unknown>} [args]
   * @returns {Promise<unknown>} what QEMU returns
   */
  execute(command, args = {}) {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new Error('QEMU has ended'));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }
}
