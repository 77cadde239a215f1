// Judges `kdump-mem triage` by public incidents (test/incidents/cases): what their threads settled, beside what it
// answers. The inputs were written from the threads, without running the command on them.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CASES = fileURLToPath(new URL('../../../test/incidents/cases/', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../../dist/bin/kdump-mem.js', import.meta.url));

/** Categories that no code of a finding names: what the sentence about the cause has to contain. */
const SAID = {
  anonymous: /anonymous memory/,
  shared: /shared memory|tmpfs|shmem/i,
  slab: /slab/i,
  vmalloc: /vmalloc|vmap/i,
  'huge-pages': /huge ?page|hugetlb/i,
  network: /page pool|socket|tcp|receive queue/i,
  conntrack: /conntrack/,
  neighbour: /neighbou?r/i,
  unread: /unread|not (?:being )?read/,
  unattributed: /no (?:kernel )?counter|without a known owner|missing from the report/,
  balloon: /balloon|hypervisor/i,
  hypervisor: /hypervisor/i,
  lowmem: /HighMem|lowmem|fragmented/i,
  cma: /\bCMA\b|contiguous memory/,
  swiotlb: /swiotlb|bounce buffer/i,
  killer: /earlyoom|systemd-oomd|nohang|lmkd|lowmemorykiller|kubelet/,
  pids: /pids/,
  audit: /audit/,
  gpu: /GPU|NVRM|Xid/,
  leak: /leak/i,
};

/** @returns {import('./incidents.mjs').Incident[]} */
export function incidents() {
  return readdirSync(CASES)
    .toSorted()
    .map((file) => {
      const text = readFileSync(join(CASES, file), 'utf8');
      const end = text.indexOf('\n---\n');
      const fields = Object.fromEntries(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
      );
      return {
        name: file.replace(/\.txt$/, ''),
        kind: fields.kind,
        categories: fields.category.split('|'),
        owners: fields.owner?.split('|') ?? [],
        heldOut: fields['held-out'] ?? null,
        input: text.slice(end + 5),
      };
    });
}

/** Judges all incidents, two at a time. */
export async function judgeIncidents(list = incidents()) {
  const folder = mkdtempSync(join(tmpdir(), 'incidents-'));
  try {
    const waiting = list.map((incident, at) => ({ incident, at }));
    const judged = [];
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift())
        judged[next.at] = await judge(next.incident, join(folder, next.incident.name));
    };
    await Promise.all([work(), work()]);
    return judged;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function judge(incident, folder) {
  const source = writeInput(incident.input, folder);
  const start = performance.now();
  const { stdout, stderr } = await run(['triage', '--json', ...source]);
  const seconds = (performance.now() - start) / 1000;
  return { ...incident, seconds, ...verdict(incident, stdout, stderr) };
}

/** A text as people paste it, or the files of a capture behind `==> PATH <==`; the arguments that select it. */
function writeInput(input, folder) {
  mkdirSync(folder);
  const parts = input.split(/^==> (.+) <==\n/m);
  if (parts.length === 1) {
    writeFileSync(join(folder, 'report.txt'), input);
    return [join(folder, 'report.txt')];
  }
  for (let at = 1; at < parts.length; at += 2) {
    const path = join(folder, parts[at]);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, parts[at + 1]);
  }
  return ['--from', folder];
}

function run(args) {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], { maxBuffer: 2 ** 26 }, (_, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}

/**
 * `false cause`: a cause is stated, and it is another one. `silent`: nothing above a note, and nothing of the
 * category. `wrong`: something else is reported. `no owner`: the category is right.
 */
function verdict({ categories, owners }, stdout, stderr) {
  if (stdout === '') return { outcome: 'refused', said: stderr.trim() };
  const { findings, conclusion } = JSON.parse(stdout);
  const stated = conclusion !== null && conclusion.confidence !== 'unknown' ? conclusion : null;
  const severe = findings.filter(({ severity }) => severity !== 'note');
  if (categories.includes('none'))
    return { outcome: severe.length > 0 ? 'false cause' : 'right', said: severe[0]?.words ?? '' };
  const first = findings[stated?.cause ?? 0];
  const sentence = stated?.words ?? first?.words ?? '';
  const titled = `${sentence} ${first?.title ?? ''}`;
  const isRight = categories.some((one) => (one in SAID ? SAID[one].test(titled) : first?.code === one));
  const said = `${sentence}${first && stated ? ` ${first.words}` : ''}`;
  if (!isRight && (stated !== null || first?.code === 'memory-corruption')) return { outcome: 'false cause', said };
  if (!isRight) return { outcome: severe.length === 0 ? 'silent' : 'wrong', said };
  const { function: place, comm } = first?.report ?? {};
  const named = `${titled} ${said} ${place} ${comm} ${JSON.stringify(first?.figures)}`;
  return { outcome: owners.length === 0 || owners.some((one) => isNamed(one, named)) ? 'right' : 'no owner', said };
}

/** Whether a text has a name as a word, or as the beginning of one such as `ath10k_pci`. */
function isNamed(name, text) {
  const at = text.indexOf(name);
  if (at < 0) return false;
  const isApart = !/[A-Za-z0-9]/.test(`${text[at - 1] ?? ''}${text[at + name.length] ?? ''}`);
  return isApart || isNamed(name, text.slice(at + 1));
}

const OUTCOMES = ['false cause', 'refused', 'silent', 'wrong'];

/** The table of the documents, by kind. */
export function scoreTable(judged) {
  const rows = [...new Set(judged.map(({ kind }) => kind))]
    .toSorted()
    .map((kind) => [kind, judged.filter((one) => one.kind === kind)]);
  const cells = ([name, list]) => {
    const owned = list.filter(({ owners }) => owners.length > 0);
    const count = (test) => String(list.filter(test).length);
    return [
      name,
      String(list.length),
      count(({ outcome }) => outcome === 'right' || outcome === 'no owner'),
      `${owned.filter(({ outcome }) => outcome === 'right').length} of ${owned.length}`,
      ...OUTCOMES.map((one) => count(({ outcome }) => outcome === one)),
    ];
  };
  return [
    ['kind', 'incidents', 'right category', 'right owner', ...OUTCOMES],
    ...rows.map(cells),
    cells(['all', judged]),
    cells(['of these held out', judged.filter(({ heldOut }) => heldOut === 'yes')]),
    cells(['of these held out, second set', judged.filter(({ heldOut }) => heldOut === 'second')]),
    cells(['of these held out, third set', judged.filter(({ heldOut }) => heldOut === 'third')]),
  ];
}
