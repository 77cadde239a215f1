import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kdumpMem } from '../../support/cli.js';
import { McpClient } from '../../support/mcp.js';
import { nodeOf } from '../launch/installed-tree.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TOOLS = join(ROOT, 'test/publish/node_modules/.bin');
const FIXTURE = 'node_modules/kdump-mem/fixtures/incident.vmcore';

/** The home of a user who installed the package. */
let home: string;
let tarball: string;
let packed: string[];

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'publish-'));
  // The commands are built, and other tests use them: only this step of prepack is missing.
  execFileSync(process.execPath, ['scripts/library.mjs'], { cwd: ROOT, stdio: 'ignore' });
  const made = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', home], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // npm 12 prints an object by name, earlier versions a list.
  const packOutput = JSON.parse(made.slice(made.search(/^[[{]/m)));
  const [{ filename, files }] = Object.values(packOutput) as { filename: string; files: { path: string }[] }[] as [
    { filename: string; files: { path: string }[] },
  ];
  tarball = join(home, filename);
  packed = files.map(({ path }) => path);
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--silent'];
  execFileSync('npm', ['install', ...options, tarball], { cwd: home, stdio: 'ignore' });
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(command: string, args: string[], cwd = home) {
  return spawnSync(command, args, { cwd, encoding: 'utf8' });
}

/** A file, or a folder with files. */
function hasPacked(wanted: string): boolean {
  return packed.some((path) => path === wanted || path.startsWith(`${wanted}/`));
}

function compile(folder: string, ...files: string[]) {
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    // Node's own types would provide these parts of the DOM.
    lib: ['es2023', 'esnext.disposable', 'dom'],
    types: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  return run(join(TOOLS, 'tsc'), ['--project', folder]);
}

test('contains what README shows, and no source, tests or scripts', () => {
  for (const wanted of [
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'docs/library.md',
    'docs/memory.md',
    'deploy/prometheus/skcheck.rules.yml',
    'fixtures/incident.vmcore',
    'schemas/memory-1.json',
    'dist/library/index.d.mts',
    'dist/bin/THIRD-PARTY-NOTICES',
  ])
    expect(packed).toContain(wanted);
  expect(packed.filter((path) => /^(src|test|scripts)\/|^\./.test(path))).toEqual([]);
});

test('contains all link targets of README', () => {
  const links = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)].map(
    ([, link = '']) => link,
  );
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((link) => !hasPacked(link))).toEqual([]);
});

test('contains the published library, and no other build output', () => {
  expect(packed.filter((path) => path.startsWith('dist/library/')).toSorted()).toEqual(
    ['THIRD-PARTY-NOTICES', 'index.cjs', 'index.d.cts', 'index.d.mts', 'index.mjs'].map(
      (name) => `dist/library/${name}`,
    ),
  );
});

test('contains files for each entry in package.json', () => {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(files.filter((listed: string) => !hasPacked(listed))).toEqual([]);
});

test('a global installation includes its manual pages', () => {
  const prefix = join(home, 'everybody');
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--silent'];
  execFileSync('npm', ['install', '--global', '--prefix', prefix, ...options, tarball]);
  const pages = readdirSync(join(prefix, 'share/man/man1'));
  expect(pages.toSorted()).toEqual(readdirSync(join(ROOT, 'dist/man')).toSorted());
  const page = readFileSync(join(prefix, 'share/man/man1/kdump-mem-memory.1'), 'utf8');
  expect(page).toContain('.SH EXIT STATUS');
  expect(run(join(prefix, 'bin/kdump-mem'), ['--version']).stdout).toMatch(/^\d/);
});

test('runs no script on installation, and needs one other package', () => {
  const { dependencies, scripts } = JSON.parse(readFileSync(join(home, 'node_modules/kdump-mem/package.json'), 'utf8'));
  expect(Object.keys(scripts)).not.toContain('postinstall');
  expect(Object.keys(scripts)).not.toContain('install');
  expect(Object.keys(dependencies)).toEqual(['zod']);
});

test('its commands answer as those of the clone do', async () => {
  const args = ['sockets', '--json', '--vmcore', FIXTURE];
  const installedRun = run('node_modules/.bin/kdump-mem', args);
  expect(installedRun).toMatchObject({ status: 0, stderr: '' });
  const here = await kdumpMem('sockets', '--json', '--vmcore', join(home, FIXTURE));
  expect(JSON.parse(installedRun.stdout)).toEqual(JSON.parse(here.stdout));
  expect(run('node_modules/.bin/skcheck', ['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('it serves answers to an agent', async () => {
  const program = [join(home, 'node_modules/.bin/kdump-mem')] as const;
  await using server = await McpClient.connectTo(program, '--vmcore', join(home, FIXTURE));
  const { failed, text } = await server.call('triage');
  expect([failed, text]).toEqual([false, expect.stringContaining('Probable cause: ')]);
});

/** The examples of docs/library.md, for an existing dump and socket. */
const examples = [...readFileSync(join(ROOT, 'docs/library.md'), 'utf8').matchAll(/```js\n(.*?)```/gs)].map(
  ([, code = '']) => code.replaceAll(/'(?:vmcore|\/var\/crash\/\d+\/vmcore)'/g, `'${FIXTURE}'`),
);

describe('as a library', () => {
  const answers = [
    /^\d+ sockets pin \d+ bytes\n((TCP|UDP) [\d.]+:\d+ \d+ pid \d+ \(.+\) fd \d+.*\n){3}$/,
    /^no-such-pid .+\n$/,
    // init_task is pid 0.
    /^0\n$/,
  ];

  test.each(examples.map((code, index) => [index, code] as const))('example %i runs', (index, code) => {
    const file = join(home, `example-${index}.mjs`);
    writeFileSync(file, code);
    const { stdout, stderr, status } = run(process.execPath, [file]);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toMatch(answers[index] ?? /never/);
  });

  test('its examples compile, so all names in them exist', () => {
    const names = examples.map((code, index) => {
      writeFileSync(join(home, `typed-${index}.mts`), code);
      return `typed-${index}.mts`;
    });
    expect(compile(home, ...names)).toMatchObject({ stdout: '', status: 0 });
  });

  test.each(['cjs', 'mjs'])('an old Node is refused by example.%s, in one line', (ending) => {
    const code = { cjs: "require('kdump-mem')", mjs: "import 'kdump-mem'" }[ending];
    writeFileSync(join(home, `old.${ending}`), `${code};\n`);
    const { stderr, status } = run(nodeOf('18'), [`old.${ending}`]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Error: kdump-mem: this is Node 18\.[\d.]+, and Node 20\.19 or newer is needed$/m);
  });

  test('required and imported it is one library, and gives the command’s answers', async () => {
    writeFileSync(
      join(home, 'both.cjs'),
      `const required = require('kdump-mem');
       import('kdump-mem').then((imported) => {
         const dump = required.openDump('${FIXTURE}');
         const same = Object.keys(required).every((name) => required[name] === imported[name]);
         console.log(JSON.stringify({ same, names: Object.keys(required).sort(), answer: dump.sockets() }));
       });`,
    );
    const { same, names, answer } = JSON.parse(run(process.execPath, ['both.cjs']).stdout);
    expect(same).toBe(true);
    expect(names).toEqual(
      ['Dump', 'KdumpMemError', 'KernelError', 'ReadError', 'WalkError', 'openDump', 'openLive', 'schemas'].toSorted(),
    );
    const { stdout } = await kdumpMem('sockets', '--all', '--json', '--vmcore', join(home, FIXTURE));
    expect(answer).toEqual(JSON.parse(stdout));
  });

  test('every query has an answer of its schema, or a reason', () => {
    writeFileSync(
      join(home, 'all.mjs'),
      `import { openDump, schemas } from 'kdump-mem';
       const dump = openDump('${FIXTURE}');
       const { pid, fds } = dump.sockets().sockets
         .map(({ holders: [first] }) => ({ pid: first?.pid, fds: [first?.fd] }))
         .find(({ pid }) => pid !== undefined);
       const asked = {
         memory: () => dump.memory(), procs: () => dump.procs('user'), sockets: () => dump.sockets('process'),
         skb: () => dump.skb({ pid, fd: fds[0] }), skbsOf: () => dump.skbsOf(pid),
         log: () => dump.log(), stacks: () => dump.stacks(), triage: () => dump.triage(),
         each: () => [...dump.eachSocket()].at(-1),
       };
       for (const [name, ask] of Object.entries(asked)) {
         try {
           const answer = ask();
           schemas[answer.schema].parse(answer);
           console.log(name, answer.schema);
         } catch (error) {
           console.log(name, error.code);
         }
       }`,
    );
    const { stdout, stderr } = run(process.execPath, ['all.mjs']);
    expect(stderr).toBe('');
    expect(
      Object.fromEntries(
        stdout
          .trimEnd()
          .split('\n')
          .map((line) => line.split(' ')),
      ),
    ).toEqual({
      sockets: 'kdump-mem.sockets/1',
      skb: 'kdump-mem.skb/1',
      skbsOf: 'kdump-mem.skb-process/1',
      triage: 'kdump-mem.triage/1',
      log: 'kdump-mem.log/1',
      stacks: 'kdump-mem.task-stacks/1',
      memory: 'kdump-mem.memory/1',
      procs: 'kdump-mem.procs/1',
      each: 'kdump-mem.socket/1',
    });
  });

  test.each(['mts', 'cts'])('types: a correct .%s file compiles, and a wrong one does not', (ending) => {
    const folder = join(home, ending);
    mkdirSync(folder);
    const right = `import { openDump, schemas, type Dump } from 'kdump-mem';
      const dump: Dump = openDump(['a', 'b'], { btf: 'c' });
      export const bytes: number | undefined = dump.sockets('process').groups?.[0]?.total.pinnedBytes;
      export const category: string = dump.memory().memory.category;
      export const parsed = schemas['kdump-mem.log/1'].parse({}).messages;\n`;
    writeFileSync(join(folder, `right.${ending}`), right);
    writeFileSync(join(folder, `wrong.${ending}`), right.replace('pinnedBytes', 'pinnedBites'));
    expect(compile(folder, `right.${ending}`)).toMatchObject({ stdout: '', status: 0 });
    expect(compile(folder, `wrong.${ending}`).stdout).toContain("'pinnedBites' does not exist");
  });
});

test('publint reports no problem', () => {
  const { stdout, status } = run(join(TOOLS, 'publint'), ['run', tarball, '--strict']);
  expect({ stdout, status }).toMatchObject({ status: 0, stdout: expect.stringContaining('All good!') });
});

test('attw reports no problem', () => {
  const { stdout, status } = run(join(TOOLS, 'attw'), [
    tarball,
    '--format',
    'json',
    '--exclude-entrypoints',
    'package.json',
  ]);
  expect({ status, problems: JSON.parse(stdout).problems }).toEqual({ status: 0, problems: {} });
});

test('its API documentation is complete', () => {
  const { stdout, stderr, status } = run(join(ROOT, 'scripts/api-docs'), [join(home, 'api')]);
  expect({ stderr, status, stdout }).toMatchObject({ status: 0 });
  expect(readFileSync(join(home, 'api/classes/Dump.html'), 'utf8')).toContain('eachSocket');
});
