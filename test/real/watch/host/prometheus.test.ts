import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { watchMetrics } from '../../../../src/answers/watch/render.js';
import { watchSampleLine } from '../../../../src/answers/watch/sample.js';
import { formatJson } from '../../../../src/base/util.js';
import { watchedFor } from '../../../answers/watch/watched.js';
import { RHYTHMS, week } from '../../../growth/watch/made-up-weeks.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { DEPLOY, metricTools } from '../../../support/metric-tools.js';

const dir = mkdtempSync(join(tmpdir(), 'kdump-mem-watch-'));
const started: ChildProcess[] = [];
let tools: string;
beforeAll(() => {
  tools = metricTools();
});
afterAll(() => {
  for (const each of started) each.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function accepted(metrics: string): void {
  const check = spawnSync(join(tools, 'promtool'), ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  expect(check).toMatchObject({ status: 0, stdout: '', stderr: '' });
}

test('promtool accepts the metrics, including hostile names', async () => {
  const file = join(dir, 'watch.ndjson');
  const rhythm = RHYTHMS['a backup each night']!;
  const samples = [...week({ rhythm, seed: 5, leak: 1, days: 3, leaks: 'anonymous' })];
  writeFileSync(file, samples.map((one) => `${formatJson(watchSampleLine(one))}\n`).join(''));
  const { stdout } = await kdumpMem('watch', '--for', '0', '--store', file, '--prometheus');
  expect(stdout).toMatch(/^kdump_mem_category_growing\{.*category="anonymous".*\} 1$/m);
  accepted(stdout);
  const hostile = watchedFor({ leak: 1, leaks: 'anonymous', days: 3 }, 'a"b\\c\n\u001b{x}');
  accepted(watchMetrics(hostile.answer, { up: true, lost: 1, notStored: 2 }));
  accepted(watchMetrics(undefined, { up: false, lost: 0, notStored: 0 }));
});

test('the alert rules', () => {
  const rules = join(DEPLOY, 'prometheus/kdump-mem-watch.rules.yml');
  expect(spawnSync(join(tools, 'promtool'), ['check', 'rules', rules]).status).toBe(0);
  const tests = join(DEPLOY, 'prometheus/kdump-mem-watch.rules.test.yml');
  const run = spawnSync(join(tools, 'promtool'), ['test', 'rules', tests], { encoding: 'utf8' });
  expect(run, run.stdout).toMatchObject({ status: 0 });
  expect(run.stdout).toContain('SUCCESS');
});

test("prometheus scrapes a watch, the rules load, and every panel's query succeeds", async () => {
  const args = ['watch', '--interval', '1', '--listen', '127.0.0.1:0'];
  const watch = spawn(process.execPath, [commandPath('kdump-mem'), ...args]);
  started.push(watch);
  const [line = ''] = (await once(createInterface(watch.stderr), 'line')) as string[];
  const target = /127\.0\.0\.1:\d+/.exec(line)?.[0] ?? '';
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(DEPLOY, 'prometheus/kdump-mem-watch.rules.yml')],
    scrape_configs: [{ job_name: 'watch', static_configs: [{ targets: [target] }] }],
  };
  writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify(config));
  const server = spawn(
    join(tools, 'prometheus'),
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore', cwd: dir },
  );
  started.push(server);
  const api = `http://127.0.0.1:${port}/api/v1`;
  const anonymous = 'query?query=kdump_mem_memory_bytes{category="anonymous"}';
  expect(await answerFrom(`${api}/${anonymous}`, /"value":\[[\d.]+,"[1-9]/)).toContain('"success"');
  expect(await answerFrom(`${api}/rules`, /"health":"ok"/)).not.toContain('"health":"err"');
  for (const expression of panelExpressions()) {
    const answer = await answerFrom(`${api}/query?query=${encodeURIComponent(expression)}`, /"status"/);
    expect(`${expression}: ${answer}`).toContain('"status":"success"');
    // Nothing grows within seconds.
    expect(`${expression}: ${answer}`).toMatch(/"result":\[\{|_growth_|_exhausted_|_growing|increase/);
  }
  watch.kill('SIGTERM');
  expect((await once(watch, 'exit'))[0]).toBe(0);
});

test('the systemd unit', () => {
  const text = readFileSync(join(DEPLOY, 'systemd/kdump-mem-watch.service'), 'utf8');
  const unit = join(dir, 'kdump-mem-watch.service');
  // The path of an installed kdump-mem: here another program replaces it.
  writeFileSync(unit, text.replace('/usr/local/bin/kdump-mem', '/bin/true'));
  const check = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
  expect(check).toMatchObject({ status: 0, stderr: '' });
});

function panelExpressions(): string[] {
  const board = JSON.parse(readFileSync(join(DEPLOY, 'grafana/kdump-mem-watch.json'), 'utf8'));
  const panels: { targets: { expr: string }[] }[] = board.panels;
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$instance', '.*')));
}

/** Retries until the answer matches, for at most a minute and a half. */
async function answerFrom(url: string, until: RegExp): Promise<string> {
  let text = '';
  for (let tries = 0; tries < 180; tries++) {
    try {
      text = await (await fetch(url)).text();
    } catch {
      // Still starting.
    }
    if (until.test(text)) return text;
    await delay(500);
  }
  throw new Error(`${url}: ${text.slice(0, 500)}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
