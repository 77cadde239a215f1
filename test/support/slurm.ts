import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A single-node cluster: Debian's munged, slurmctld and slurmd, in its own folder and on its own ports. */
export class Slurm {
  readonly folder = mkdtempSync(join(tmpdir(), 'kdump-mem-slurm-'));
  readonly #daemons: ChildProcess[] = [];
  readonly #environment: NodeJS.ProcessEnv;

  constructor(cpus: number) {
    const at = (name: string) => join(this.folder, name);
    for (const name of ['munge', 'state', 'spool']) mkdirSync(at(name), { mode: 0o755 });
    writeFileSync(at('munge/key'), randomBytes(1024), { mode: 0o600 });
    const [host = 'localhost'] = hostname().split('.');
    const port = 20_000 + (process.pid % 20_000);
    const settings = {
      ClusterName: 'kdumpmem',
      SlurmctldHost: `${host}(127.0.0.1)`,
      SlurmUser: 'root',
      SlurmctldPort: port,
      SlurmdPort: port + 1,
      AuthType: 'auth/munge',
      AuthInfo: `socket=${at('munge/socket')}`,
      StateSaveLocation: at('state'),
      SlurmdSpoolDir: at('spool'),
      SlurmctldPidFile: at('slurmctld.pid'),
      SlurmdPidFile: at('slurmd.pid'),
      ProctrackType: 'proctrack/pgid',
      TaskPlugin: 'task/none',
      MpiDefault: 'none',
      ReturnToService: 2,
      SelectType: 'select/cons_tres',
      SelectTypeParameters: 'CR_CPU',
      NodeName: `${host} NodeAddr=127.0.0.1 CPUs=${cpus} State=UNKNOWN`,
      PartitionName: `all Nodes=${host} Default=YES MaxTime=INFINITE State=UP`,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(at('slurm.conf'), lines.join(''));
    this.#environment = { ...process.env, SLURM_CONF: at('slurm.conf') };
  }

  /** Starts its daemons, and waits until its node accepts jobs. */
  async start(): Promise<void> {
    const munge = (name: string) => join(this.folder, 'munge', name);
    this.#daemon(
      'munged',
      '--foreground',
      '--force',
      `--key-file=${munge('key')}`,
      `--socket=${munge('socket')}`,
      `--pid-file=${munge('pid')}`,
      `--log-file=${munge('log')}`,
      `--seed-file=${munge('seed')}`,
    );
    this.#daemon('slurmctld', '-D');
    this.#daemon('slurmd', '-D');
    while (!this.#says('sinfo', '--noheader', '--format=%T').startsWith('idle')) {
      const ended = this.#daemons.find(({ exitCode }) => exitCode !== null);
      if (ended) throw new Error(`${ended.spawnfile} ended with ${ended.exitCode}`);
      await delay(100);
    }
  }

  /** Submits a script, and waits until all of its tasks end. @throws if one has an exit status other than 0 */
  submit(script: string, array: string, environment: NodeJS.ProcessEnv): void {
    const words = ['--wait', `--array=${array}`, '--chdir', this.folder, script];
    const env = { ...this.#environment, ...environment };
    execFileSync('sbatch', words, { env, stdio: 'pipe' });
  }

  async stop(): Promise<void> {
    for (const daemon of this.#daemons.toReversed()) {
      const ended = new Promise((resolve) => daemon.once('exit', resolve));
      if (daemon.kill('SIGTERM')) await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #daemon(command: string, ...words: readonly string[]): void {
    const env = { ...this.#environment, PATH: `${process.env.PATH}:/usr/sbin` };
    this.#daemons.push(spawn(command, words, { env, stdio: 'ignore' }));
  }

  #says(command: string, ...words: readonly string[]): string {
    try {
      return execFileSync(command, words, { env: this.#environment, stdio: 'pipe' }).toString();
    } catch {
      // Its daemons are not running yet.
      return '';
    }
  }
}
