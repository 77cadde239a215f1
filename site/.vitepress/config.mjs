import { readdirSync } from 'node:fs';
import { anchorOf } from '../parts/anchor.mjs';
import { DOCS_MENU } from '../parts/menu.mjs';
import { placeOf } from '../parts/places.mjs';

const PAGES = new URL('../dist/pages/', import.meta.url);

const linkOf = (place) => `/${place.replace(/(?:^|(?<=\/))index\.md$|\.md$/, '')}`;

const commands = readdirSync(new URL('commands', PAGES))
  .map((file) => file.replace('.md', ''))
  .toSorted((a, b) => Number(b === 'kdump-mem') - Number(a === 'kdump-mem') || a.localeCompare(b));

export default {
  title: 'kdump-mem',
  description: 'Where is the memory of a Linux machine, and what uses it?',
  lang: 'en',
  // Without it browsers request a favicon that does not exist.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: 'dist/pages',
  cacheDir: 'dist/cache',
  outDir: process.env.SITE_OUT,
  base: process.env.SITE_BASE,
  // Files that typedoc keeps next to its pages.
  srcExclude: ['public/**'],
  ignoreDeadLinks: false,
  metaChunk: true,
  markdown: {
    // Documents are plain Markdown, without HTML or VitePress syntax.
    html: false,
    attrs: { disable: true },
    anchor: { slugify: anchorOf },
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    externalLinkIcon: true,
    nav: [
      { text: 'What is wrong?', link: '/' },
      { text: 'Commands', link: '/commands/kdump-mem' },
      { text: 'Codes', link: '/codes' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'What is wrong?', link: '/' },
          { text: 'Overview', link: linkOf(placeOf('README.md')) },
        ],
      },
      ...DOCS_MENU.map(({ text, items }) => ({
        text,
        items: items.map((each) => ({ text: each.text, link: linkOf(placeOf(`docs/${each.file}`)) })),
      })),
      {
        text: 'Reference',
        items: [
          { text: 'Codes', link: '/codes' },
          { text: 'Schemas', link: '/schemas' },
          { text: 'Library API', link: '/api/index.html', target: '_self' },
          { text: 'Files to deploy', link: '/deploy' },
        ],
      },
      { text: 'Commands', items: commands.map((name) => ({ text: name, link: `/commands/${name}` })) },
      {
        text: 'Project',
        items: [
          { text: 'Changelog', link: '/changelog' },
          { text: 'Contributing', link: '/contributing' },
          { text: 'Shipped dumps', link: '/fixtures' },
          { text: 'Security', link: '/security' },
        ],
      },
    ],
  },
};
