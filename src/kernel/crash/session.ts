/**
 * What the crash engine asks of a running crash. Three things stand behind it: the process, a
 * recorder around it, and a player of what was recorded.
 */
export interface CrashSession {
  /**
   * The output of each command, in order; commands are pipelined.
   *
   * @throws {KernelError} `crash-hung` or `crash-failed`, with crash's last lines.
   */
  ask(commands: readonly string[]): string[];

  /**
   * `length` bytes at a virtual address, or crash's words if it doesn't give them all.
   *
   * @throws as {@link ask}
   */
  readMemory(address: bigint, length: number): Uint8Array | string;

  close(): void;
}
