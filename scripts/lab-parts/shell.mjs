// The lab's end of the guest's shell: requests as lines of base64, answers with status and length.

import { STEP_MS } from './limits.mjs';

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {{ status: number, output: Buffer }} Answer */

export class GuestShell {
  #socket;
  #received = Buffer.alloc(0);
  /** @type {{ resolve: (answer: Answer) => void, reject: (error: Error) => void } | undefined} */
  #waiting;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /** @param {Socket} socket the host's side of the virtio port */
  constructor(socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#answer();
    });
    socket.on('close', () => this.#waiting?.reject(new Error('the guest has ended')));
  }

  #answer() {
    const end = this.#received.indexOf(10);
    if (end < 0 || this.#waiting === undefined) return;
    const [status, length] = this.#received.toString('latin1', 0, end).split(' ').map(Number);
    if (status === undefined || length === undefined) return;
    if (this.#received.length < end + 1 + length) return;
    const output = Buffer.from(this.#received.subarray(end + 1, end + 1 + length));
    this.#received = this.#received.subarray(end + 1 + length);
    this.#waiting.resolve({ status, output });
    this.#waiting = undefined;
  }

  /**
   * Runs a command line in the guest's busybox shell; one at a time, in the order asked.
   *
   * @param {string} command
   * @returns {Promise<Answer>}
   */
  run(command) {
    const answer = this.#last.then(() => this.#request(command));
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** @param {string} command @returns {Promise<Answer>} */
  #request(command) {
    return new Promise((resolve, reject) => {
      const clock = setTimeout(() => {
        this.#socket.destroy();
        reject(new Error(`no answer from the guest in ${STEP_MS} ms to: ${command}`));
      }, STEP_MS);
      this.#waiting = {
        resolve: (answer) => {
          clearTimeout(clock);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(clock);
          reject(error);
        },
      };
      if (this.#socket.destroyed) this.#waiting.reject(new Error('the guest has ended'));
      this.#socket.write(`${Buffer.from(command).toString('base64')}\n`);
    });
  }
}
