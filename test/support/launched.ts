import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { commandPath } from './cli.js';

/** Exit of a command, and whether V8 accepted the given code cache. */
export interface Launched {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly code: 'compiled' | 'cached' | 'refused' | undefined;
  /** Bytes by which a cache created now would be larger than the given one: functions it lacked. */
  readonly lacked: number;
}

/** Reports the input and the result of node:vm's Script on descriptor 3. */
const TELL = `
const vm = require('node:vm');
const { writeSync } = require('node:fs');
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    const given = options.cachedData !== undefined;
    const code = given ? (this.cachedDataRejected ? 'refused' : 'cached') : 'compiled';
    process.on('exit', () => {
      const lacked = given ? this.createCachedData().length - options.cachedData.length : 0;
      writeSync(3, JSON.stringify({ code, lacked }));
    });
  }
};
`;

/** A copy of the built commands, outside every node_modules, and a separate home directory. */
export class Installed {
  readonly folder = mkdtempSync(join(tmpdir(), 'kdump-mem-launch-'));
  readonly bin = join(this.folder, 'bin');
  readonly cacheHome = join(this.folder, 'cache');
  readonly cache = join(this.cacheHome, 'kdump-mem');
  readonly #tell = join(this.folder, 'tell.cjs');

  constructor() {
    cpSync(dirname(commandPath('kdump-mem')), this.bin, { recursive: true });
    mkdirSync(this.cacheHome, { mode: 0o700 });
    writeFileSync(this.#tell, TELL);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Names of the files in the cache folder. */
  kept(): string[] {
    return readdirSync(this.cache).toSorted();
  }

  /** Runs a command with this home, or with other variables. */
  run(
    args: readonly string[],
    { command = 'kdump-mem', env = {}, node = process.execPath, flags = [] }: RunOptions = {},
  ): Promise<Launched> {
    const program = [...flags, '--require', this.#tell, join(this.bin, `${command}.js`), ...args];
    return launch(node, program, { PATH: process.env.PATH, XDG_CACHE_HOME: this.cacheHome, ...env });
  }
}

interface RunOptions {
  readonly command?: 'kdump-mem' | 'skcheck';
  readonly env?: NodeJS.ProcessEnv;
  readonly node?: string;
  readonly flags?: readonly string[];
}

/** Runs a program with descriptor 3 as its report channel until it exits. */
export async function launch(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Launched> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const outputs = child.stdio.slice(1).map(async (stream) => {
    let text = '';
    if (stream && 'setEncoding' in stream) for await (const piece of stream.setEncoding('utf8')) text += piece;
    return text;
  });
  const end = new Promise<Pick<Launched, 'status' | 'signal'>>((done, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => done({ status, signal }));
  });
  const [stdout = '', stderr = '', told = ''] = await Promise.all(outputs);
  const nothing: Pick<Launched, 'code' | 'lacked'> = { code: undefined, lacked: 0 };
  return { ...(await end), stdout, stderr, ...(told === '' ? nothing : JSON.parse(told)) };
}
