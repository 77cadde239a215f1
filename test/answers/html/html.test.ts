import { expect, test } from 'vitest';
import { html, htmlTable, raw, sentence } from '../../../src/answers/html/html.js';
import { escapeText } from '../../../src/base/escape.js';

test('escapes text within markup, in elements and in attributes', () => {
  const name = `<b onclick='x' class="y">&amp;</b>`;
  expect(html`<i title="${name}">${name}</i>`.markup).toBe(
    '<i title="&lt;b onclick=&#39;x&#39; class=&quot;y&quot;&gt;&amp;amp;&lt;/b&gt;">' +
      '&lt;b onclick=&#39;x&#39; class=&quot;y&quot;&gt;&amp;amp;&lt;/b&gt;</i>',
  );
});

test('escapes invisible characters and characters that reorder text', () => {
  expect(html`${'a\u202eb\u0000\u001b\ud800c\\'}`.markup).toBe(String.raw`a\u{202e}b\x00\x1b\u{d800}c\\`);
});

test('does not split a sentence that was escaped before', () => {
  const said = escapeText('\u001b<');
  expect(html`${sentence(said)}`.markup).toBe(String.raw`\x1b&lt;`);
});

test('keeps markup, joins lists and renders undefined as empty', () => {
  expect(html`<p>${raw('<b>')}${[html`${1}`, 'x', undefined, []]}${0}</p>`.markup).toBe('<p><b>1x0</p>');
});

test('a table keeps the indentation of text, but not the alignment of figures', () => {
  const table = htmlTable({
    id: 't',
    caption: 'x',
    columns: [
      { heading: 'NAME', value: ([name]: readonly string[]) => name ?? '' },
      { heading: 'BYTES', align: 'right', value: ([, bytes]) => bytes ?? '' },
    ],
    rows: [
      ['kernel', ' 9'],
      ['  slab', '  8'],
    ],
  }).markup;
  expect(table).toContain('<th scope="row">kernel</th><td class="figure">9</td>');
  expect(table).toContain('<th scope="row">&nbsp;&nbsp;slab</th><td class="figure">8</td>');
});
