import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allCodes } from '../../../../src/answers/explain/codes.js';
import { commands } from '../../../support/commands.js';
import { readSite } from '../../../support/site.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

let home: string;
let site: string;
let said: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'site-'));
  site = join(home, 'site');
  said = execFileSync(join(ROOT, 'scripts/site'), ['--built'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, SITE_OUT: site, SITE_BASE: '/' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

const page = (name: string) => readFileSync(join(site, `${name}.html`), 'utf8');

/** Links in the menu. */
const menu = () => new Set([...page('index').matchAll(/class="VPLink link link" href="([^"]*)"/g)].map(([, to]) => to));

test('builds without broken links or anchors', () => {
  expect(said).toMatch(/^[1-9]\d+ pages, 0 broken links$/m);
});

test('every page of docs/ and of every command exists and is in the menu', async () => {
  const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  const names = [
    ...documents.filter((name) => name !== 'README.md').map((name) => name.replace('.md', '')),
    ...(await commands()).map((command) => `commands/${command.name()}`),
    'commands/kdump-mem',
    'commands/skcheck',
    'codes',
    'schemas',
    'deploy',
    'changelog',
    'contributing',
    'security',
  ];
  const links = menu();
  for (const name of names) {
    expect(existsSync(join(site, `${name}.html`)), name).toBe(true);
    expect(links).toContain(`/${name}.html`);
  }
  expect(links).toContain('/api/index.html');
});

test('every schema, example of deploy/ and code is reachable', () => {
  for (const file of readdirSync(join(ROOT, 'schemas'))) {
    expect(page('schemas')).toContain(`href="/schemas/${file}"`);
    expect(existsSync(join(site, 'schemas', file))).toBe(true);
  }
  expect(page('deploy')).toContain('href="/deploy/prometheus/skcheck.rules.yml"');
  // Anchors are lower case and without signs, as on forges.
  const codes = page('codes');
  for (const code of allCodes())
    expect(
      codes.includes(
        `id="${code
          .toLowerCase()
          .replaceAll(/[^a-z0-9 _-]/g, '')
          .replaceAll(' ', '-')}"`,
      ),
      code,
    ).toBe(true);
});

test('in Chromium: no page needs the network, is wider than the window, or has accessibility violations', async () => {
  const pages = ['', 'memory', 'leaks', 'codes', 'commands/leaks', 'overview'];
  const seen = await readSite(site, 'stalled-reader', pages);
  for (const each of seen.pages) {
    expect(each).toMatchObject({ messages: [], elsewhere: [], violations: [] });
    expect(each.views).toHaveLength(6);
    for (const view of each.views) expect({ page: each.page, ...view }).toMatchObject({ overflow: 0 });
  }
  expect(seen.found[0]).toBe('/codes.html#stalled-reader');
});

describe('finds problems of a site', () => {
  const broken = (pages: Readonly<Record<string, string>>, base = '/') => {
    const folder = mkdtempSync(join(home, 'broken-'));
    for (const [name, html] of Object.entries(pages)) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      writeFileSync(join(folder, name), html);
    }
    return spawnSync(process.execPath, ['site/parts/check.mjs', folder, base], { cwd: ROOT, encoding: 'utf8' });
  };
  const other = '<h2 id="there">x</h2>';

  test('none in a correct one', () => {
    const { status, stderr } = broken({
      'index.html': '<a href="b.html#there">x</a><a href="/b">x</a><a href="https://a.example">x</a>',
      'b.html': other,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.each([
    ['a page', '<a href="/c.html">x</a>', '/c.html'],
    ['an anchor', '<a href="b.html#gone">x</a>', 'b.html#gone'],
    ['an anchor of the page itself', '<a href="#gone">x</a>', '#gone'],
    ['a script', '<script src="/assets/x.js"></script>', '/assets/x.js'],
    ['a page in a folder', '<a href="sub/">x</a>', 'sub/'],
  ])('%s', (_, html, link) => {
    const { status, stderr } = broken({ 'index.html': html, 'b.html': other });
    expect({ status, stderr }).toEqual({ status: 1, stderr: `index.html: ${link} leads nowhere\n` });
  });

  test('a link without the base path of the site', () => {
    const html = '<a href="/docs/b.html">x</a><a href="/b.html">x</a>';
    const { stderr } = broken({ 'index.html': html, 'b.html': other }, '/docs/');
    expect(stderr).toBe('index.html: /b.html leads nowhere\n');
  });

  test('no pages at all', () => {
    expect(broken({}).status).toBe(1);
  });
});
