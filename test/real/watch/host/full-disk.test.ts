import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { watchSampleSchema, watchSchema } from '../../../../src/contracts/watch.js';
import { commandPath } from '../../../support/cli.js';

/**
 * Runs a script with a small file system at /mnt; only root can. `begin` starts a watch that stores
 * into `w`, `said WORDS` waits until it has printed that, `stored` until there is one more line,
 * `end` stops it.
 */
function inSmallRoom(kilobytes: number, script: string) {
  const whole = `set -e
mount -t tmpfs -o size=${kilobytes}k none /mnt; cd /mnt
out=$(mktemp -d)
begin() { $WATCH --interval 0.2 --store w --json >$out/answer 2>$out/said & watch=$!; }
said() { until grep -q "$1" $out/said; do sleep 0.1; done; }
lines() { if test -f w; then wc -l <w; else echo 0; fi; }
stored() { local before=$(lines); until test $(lines) -gt $before; do sleep 0.1; done; }
end() { kill $watch; wait $watch; cat $out/said >&2; tr -d '\n' <$out/answer; echo; cat w; rm -r $out; }
${script}`;
  const { stdout, stderr, status } = spawnSync('unshare', ['-m', 'bash', '-c', whole], {
    encoding: 'utf8',
    timeout: STEP_MS,
    env: { ...process.env, WATCH: `${process.execPath} ${commandPath('kdump-mem')} watch` },
  });
  const [answer = '', ...lines] = stdout.trimEnd().split('\n');
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return {
    stderr,
    answer: watchSchema.parse(JSON.parse(answer)),
    samples: lines.map((line) => watchSampleSchema.parse(JSON.parse(line))),
  };
}

test('on a full disk writes no partial line, reports that once, and then the number of missing samples', () => {
  const { answer, samples, stderr } = inSmallRoom(
    1024,
    `begin; stored
head -c 2M /dev/zero >full 2>/dev/null || true
said 'not stored'; rm full; stored; end`,
  );
  expect(stderr.match(/sample not stored: .*/g)).toEqual(['sample not stored: w: write failed (ENOSPC)']);
  const missing = samples.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
  expect(missing).toBeGreaterThan(0);
  expect(answer).toMatchObject({ store: { notStored: missing }, complete: false });
  expect(answer.samples).toBe(samples.length + missing);
});

test('with few descriptors left a sample is lost, reported and counted', () => {
  const { answer, samples, stderr } = inSmallRoom(
    2048,
    `begin; stored
prlimit --pid $watch --nofile=1:1024; said 'sample failed'
prlimit --pid $watch --nofile=1024:1024; stored; end`,
  );
  expect(stderr).toMatch(/sample failed: .*EMFILE/);
  const lost = samples.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
  expect(lost).toBeGreaterThan(0);
  expect(answer.lostSamples).toBe(lost);
  for (const { processes, categories, noCategories } of samples) {
    expect(processes.length).toBeGreaterThan(0);
    // The limit may be set amid a sample.
    expect(categories === null).toBe(noCategories !== null);
    if (noCategories !== null) expect(noCategories).toContain('EMFILE');
  }
});

test('a ring that does not fit leaves nothing, and a file that was there as it was', () => {
  const script = `set -e
mount -t tmpfs -o size=1M none /mnt; cd /mnt
: > mine
for file in ring mine; do $WATCH --ring $file && exit 9 || echo $?; done
ls`;
  const { stdout, stderr, status } = spawnSync('unshare', ['-m', 'bash', '-c', script], {
    encoding: 'utf8',
    timeout: STEP_MS,
    env: { ...process.env, WATCH: `${process.execPath} ${commandPath('kdump-mem')} watch` },
  });
  expect({ status, lines: stdout.trimEnd().split('\n') }).toEqual({ status: 0, lines: ['3', '3', 'mine'] });
  expect(stderr).toMatch(/^kdump-mem: ring: cannot be written \(ENOSPC\)[^\n]*\nkdump-mem: mine: cannot [^\n]*\n$/);
});
