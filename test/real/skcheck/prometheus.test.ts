import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { DEPLOY, metricTools } from '../../support/metric-tools.js';
import { CLI, Stage, skcheck } from './stage.js';

const HOSTILE = 'a"b\\c\n\u001b{x}';
const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const started: ChildProcess[] = [];
afterAll(() => {
  for (const each of started) each.kill('SIGKILL');
  stage.end();
  rmSync(dir, { recursive: true });
});

let tools: string;
beforeAll(async () => {
  tools = metricTools();
  await stage.pair({ comm: HOSTILE }, { bytes: 5000 });
});

describe('--prometheus', () => {
  test('prints metrics that promtool accepts, including hostile names', () => {
    const { status, stdout } = skcheck(['--prometheus']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^skcheck_stale_sockets [1-9]/m);
    expect(stdout).toContain('comm="a\\"b\\\\\\\\c\\\\x0a\\\\x1b{x}"');
    const check = spawnSync(join(tools, 'promtool'), ['check', 'metrics'], { input: stdout, encoding: 'utf8' });
    expect(check).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test("prints metrics that node_exporter's textfile collector exports", async () => {
    const folder = join(dir, 'textfile');
    mkdirSync(folder);
    writeFileSync(join(folder, 'skcheck.prom'), skcheck(['--prometheus']).stdout);
    const port = await freePort();
    start('prometheus-node-exporter', [
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${folder}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const text = await fetched(`http://127.0.0.1:${port}/metrics`, /skcheck_sockets/);
    expect(text).toContain('node_textfile_scrape_error 0');
    expect(text).toMatch(/^skcheck_stale_owner_sockets\{comm="a.*\} 1$/m);
  });
});

/** An ss that fails, first in PATH. */
function withoutSs(): NodeJS.ProcessEnv {
  const folder = join(dir, 'failing');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ss'), '#!/bin/sh\necho it is broken >&2\nexit 1\n', { mode: 0o755 });
  return { PATH: `${folder}:${process.env.PATH}` };
}

function promtool(metrics: string) {
  const input = { input: metrics, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(join(tools, 'promtool'), ['check', 'metrics'], input);
  return { status, stdout, stderr };
}

const ACCEPTED = { status: 0, stdout: '', stderr: '' };

describe('a failed scan', () => {
  test('is metrics with that fact, one line on stderr and status 3', () => {
    const { status, stdout, stderr } = skcheck(['--prometheus'], [], withoutSs());
    expect(status).toBe(3);
    expect(stderr).toMatch(/^skcheck: ss failed.*\n$/);
    expect(stdout).toMatch(/^skcheck_up 0$/m);
    expect(stdout).toMatch(/^skcheck_scan_failures_total 1$/m);
    expect(stdout).toMatch(/^skcheck_scan_failure\{code="ss-failed"\} 1$/m);
    expect(stdout).not.toContain('skcheck_stale_sockets');
    expect(promtool(stdout)).toEqual(ACCEPTED);
  });

  test('in a file continues the counter, and keeps the time of the last success', () => {
    const file = join(dir, 'skcheck.prom');
    const look = (env: NodeJS.ProcessEnv = {}) => {
      const { status } = skcheck(['--prometheus', file, '--interval', '0'], [], env);
      const text = readFileSync(file, 'utf8');
      expect(promtool(text)).toEqual(ACCEPTED);
      const figure = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
      return {
        status,
        up: figure('skcheck_up'),
        failures: figure('skcheck_scan_failures_total'),
        success: figure('skcheck_last_success_timestamp_seconds'),
      };
    };
    const good = look();
    expect(good).toMatchObject({ status: 0, up: 1, failures: 0 });
    expect(Math.abs(good.success - Date.now() / 1000)).toBeLessThan(120);
    const { success } = good;
    expect(look(withoutSs())).toEqual({ status: 3, up: 0, failures: 1, success });
    expect(look(withoutSs())).toEqual({ status: 3, up: 0, failures: 2, success });
    const again = look();
    expect(again).toMatchObject({ status: 0, up: 1, failures: 2 });
    expect(again.success).toBeGreaterThanOrEqual(success);
    // node_exporter runs as another user.
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  test('is served as metrics, and counted', async () => {
    const port = await freePort();
    const env = { ...process.env, ...withoutSs() };
    const served = spawn(process.execPath, [CLI, '--listen', `127.0.0.1:${port}`], { env });
    started.push(served);
    await once(served.stderr, 'data');
    const url = `http://127.0.0.1:${port}/metrics`;
    expect(await fetched(url, /skcheck_up/)).toMatch(/^skcheck_scan_failures_total 1$/m);
    const second = await fetched(url, /skcheck_up/);
    expect(second).toMatch(/^skcheck_up 0$/m);
    expect(second).toMatch(/^skcheck_scan_failures_total 2$/m);
    expect(promtool(second)).toEqual(ACCEPTED);
    served.kill('SIGTERM');
    await once(served, 'exit');
  });
});

describe('--memory', () => {
  test.each(['counters', 'pageflags'])('adds %s to the other metrics', (source) => {
    const { status, stdout, stderr } = skcheck(['--prometheus', '--interval', '0', '--memory', source]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(promtool(stdout)).toEqual(ACCEPTED);
    expect(stdout).toMatch(/^skcheck_up 1$/m);
    expect(stdout).toMatch(/^kdump_mem_memory_up 1$/m);
    expect(stdout).toContain(`kdump_mem_memory_source{source="${source}"} 1`);
    expect(stdout).toMatch(/^kdump_mem_memory_bytes\{group="applications-and-files",category="anonymous"\} [1-9]/m);
    // An unknown category has no figure.
    expect(stdout).toMatch(/^kdump_mem_memory_category_complete\{category="network-sockets"\} 0$/m);
    expect(stdout).not.toMatch(/^kdump_mem_memory_bytes\{.*category="network-sockets"/m);
  });

  test('is served with the others, from counters by default', async () => {
    const port = await freePort();
    const args = [CLI, '--listen', `127.0.0.1:${port}`, '--interval', '0', '--memory'];
    const served = spawn(process.execPath, args);
    started.push(served);
    await once(served.stderr, 'data');
    const text = await fetched(`http://127.0.0.1:${port}/metrics`, /kdump_mem_memory_age_seconds/);
    expect(text).toContain('kdump_mem_memory_source{source="counters"} 1');
    expect(text).toMatch(/^skcheck_up 1$/m);
    expect(promtool(text)).toEqual(ACCEPTED);
    served.kill('SIGTERM');
    expect((await once(served, 'exit'))[0]).toBe(0);
  });

  test('is independent of a failed scan of sockets', () => {
    const args = ['--prometheus', '--interval', '0', '--memory'];
    const { status, stdout } = skcheck(args, [], withoutSs());
    expect(status).toBe(3);
    expect(stdout).toMatch(/^skcheck_up 0$/m);
    expect(stdout).toMatch(/^kdump_mem_memory_up 1$/m);
    expect(promtool(stdout)).toEqual(ACCEPTED);
  });
});

describe('--listen', () => {
  test("is scraped by prometheus, the rules load, and every panel's query succeeds", async () => {
    const [ours, theirs] = [await freePort(), await freePort()];
    const served = spawn(process.execPath, [CLI, '--listen', `127.0.0.1:${ours}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(served);
    await once(served.stderr, 'data');
    const config = join(dir, 'prometheus.yml');
    writeFileSync(
      config,
      JSON.stringify({
        // A scan takes two seconds and, on a busy machine, twice as long.
        global: { scrape_interval: '10s', scrape_timeout: '10s', evaluation_interval: '4s' },
        rule_files: [join(DEPLOY, 'prometheus/skcheck.rules.yml')],
        scrape_configs: [{ job_name: 'skcheck', static_configs: [{ targets: [`127.0.0.1:${ours}`] }] }],
      }),
    );
    start('prometheus', [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${theirs}`,
    ]);
    const ask = (path: string, until: RegExp) => fetched(`http://127.0.0.1:${theirs}/api/v1/${path}`, until);
    const stale = await ask('query?query=skcheck_stale_sockets', /"value":\[[\d.]+,"[1-9]/);
    expect(stale).toContain('"status":"success"');
    const rules = await ask('rules', /"health":"ok"/);
    expect(rules).not.toContain('"health":"err"');
    for (const expression of panelExpressions()) {
      const answer = await ask(`query?query=${encodeURIComponent(expression)}`, /"status"/);
      expect(`${expression}: ${answer}`).toContain('"status":"success"');
      expect(`${expression}: ${answer}`).toMatch(
        /"result":\[\{|skcheck_warnings|verdict!~|skcheck_scan_failures_total/,
      );
    }
    served.kill('SIGTERM');
    const [status] = await once(served, 'exit');
    expect(status).toBe(0);
  });

  test('a port in use is status 3 and one line', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const address = blocker.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const child = spawn(process.execPath, [CLI, '--listen', `127.0.0.1:${port}`]);
    started.push(child);
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    const [status] = await once(child, 'close');
    blocker.close();
    expect([status, said]).toEqual([3, `skcheck: cannot listen on 127.0.0.1:${port} (EADDRINUSE).\n`]);
  });
});

describe('deploy/', () => {
  test('the alert rules', () => {
    const rules = join(DEPLOY, 'prometheus/skcheck.rules.yml');
    const check = spawnSync(join(tools, 'promtool'), ['check', 'rules', rules]);
    expect(check.status).toBe(0);
    const tests = join(DEPLOY, 'prometheus/skcheck.rules.test.yml');
    const run = spawnSync(join(tools, 'promtool'), ['test', 'rules', tests], { encoding: 'utf8' });
    expect(run, run.stdout).toMatchObject({ status: 0 });
    expect(run.stdout).toContain('SUCCESS');
  });

  test('the systemd units', () => {
    // The path of an installed skcheck: here another program replaces it.
    const units = ['skcheck.service', 'skcheck.timer'].map((unit) => {
      const text = readFileSync(join(DEPLOY, 'systemd', unit), 'utf8');
      writeFileSync(join(dir, unit), text.replace('/usr/local/bin/skcheck', '/bin/true'));
      return join(dir, unit);
    });
    const check = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], { encoding: 'utf8' });
    expect(check).toMatchObject({ status: 0, stderr: '' });
  });

  test('the command of the service writes the complete file', () => {
    const unit = readFileSync(join(DEPLOY, 'systemd/skcheck.service'), 'utf8');
    const args = /^ExecStart=\/usr\/local\/bin\/skcheck (.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    const folder = join(dir, 'service');
    mkdirSync(folder);
    const [last = ''] = args.splice(-1);
    expect(skcheck([...args, join(folder, basename(last))])).toMatchObject({ status: 0, stdout: '' });
    expect(readdirSync(folder)).toEqual(['skcheck.prom']);
    expect(readFileSync(join(folder, 'skcheck.prom'), 'utf8')).toContain('skcheck_sockets ');
  });

  test('the DaemonSet requests exactly what skcheck needs', () => {
    const text = readFileSync(join(DEPLOY, 'kubernetes/skcheck-daemonset.yaml'), 'utf8');
    const documents = parseAllDocuments(text);
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    const [set, ...more] = documents.map((document) => document.toJS());
    expect(more).toEqual([]);
    expect(set).toMatchObject({ apiVersion: 'apps/v1', kind: 'DaemonSet' });
    const { spec, metadata } = set.spec.template;
    expect(metadata.labels).toMatchObject(set.spec.selector.matchLabels);
    expect(spec).toMatchObject({ hostPID: true, hostNetwork: true });
    const [container] = spec.containers;
    expect(container.args[0]).toBe('--listen');
    expect(container.securityContext.capabilities.add).toContain('SYS_ADMIN');
    expect(readFileSync(join(DEPLOY, 'kubernetes/skcheck-podmonitor.yaml'), 'utf8')).toContain(
      `port: ${container.ports[0].name}\n`,
    );
    expect(`${container.ports[0].containerPort}`).toBe(metadata.annotations['prometheus.io/port']);
  });
});

function panelExpressions(): string[] {
  const board = JSON.parse(readFileSync(join(DEPLOY, 'grafana/skcheck.json'), 'utf8'));
  const panels: { targets: { expr: string }[] }[] = board.panels;
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$instance', '.*')));
}

function start(program: string, args: string[]): void {
  started.push(spawn(join(tools, program), args, { stdio: 'ignore', cwd: dir }));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

/** Retries until the answer matches. */
async function fetched(url: string, until: RegExp): Promise<string> {
  let text = '';
  for (const deadline = Date.now() + STEP_MS; Date.now() < deadline; ) {
    text = await body(url).catch((error: unknown) => String(error));
    if (until.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  throw new Error(`${url} answered: ${text.slice(0, 500)}`);
}

function body(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}
