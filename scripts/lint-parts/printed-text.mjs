import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/**
 * @typedef {object} Text
 * @property {string} file from the repository's root
 * @property {number} line
 * @property {string} text
 */

/**
 * Text of string literals and templates under a folder that reads as prose: three words or more. Each substitution
 * of a template stands as `…`.
 *
 * @param {string} root the repository
 * @param {string} folder
 * @returns {Text[]}
 */
export function printedText(root, folder) {
  return filesOf(root, folder).flatMap((file) =>
    textsIn(root, file, (node) => {
      const text = wordsOf(node);
      return text !== null && /[a-z’]+ [a-z’]+ [a-z’]+/i.test(text) ? text : null;
    }),
  );
}

/**
 * @param {string} root
 * @param {string} file
 * @param {(node: ts.Node) => string | null} textOf
 * @returns {Text[]}
 */
function textsIn(root, file, textOf) {
  const source = parsed(root, file);
  /** @type {Text[]} */
  const found = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    const text = textOf(node);
    if (text !== null) {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
      found.push({ file, line: line + 1, text });
    }
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(source, visit);
  return found;
}

/**
 * @param {ts.Node} node
 * @returns {string | null}
 */
function wordsOf(node) {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return null;
  return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…');
}

/**
 * Names of types, classes, functions, variables and parameters that a folder's files declare.
 *
 * @param {string} root the repository
 * @param {string} folder
 * @returns {{ file: string, name: string, isVariable: boolean }[]}
 */
export function declaredNames(root, folder) {
  return filesOf(root, folder).flatMap((file) => {
    /** @type {{ file: string, name: string, isVariable: boolean }[]} */
    const found = [];
    /** @param {ts.Node} node */
    const visit = (node) => {
      const isVariable = ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node);
      const isDeclared =
        ts.isInterfaceDeclaration(node) ||
        ts.isTypeAliasDeclaration(node) ||
        ts.isClassDeclaration(node) ||
        ts.isFunctionDeclaration(node);
      if ((isDeclared || isVariable) && node.name && ts.isIdentifier(node.name))
        found.push({ file, name: node.name.text, isVariable });
      ts.forEachChild(node, visit);
    };
    visit(parsed(root, file));
    return found;
  });
}

/**
 * Titles of tests and of their groups in a folder's files.
 *
 * @param {string} root the repository
 * @param {string} folder
 * @returns {Text[]}
 */
export function testTitles(root, folder) {
  return filesOf(root, folder).flatMap((file) =>
    textsIn(root, file, (node) => {
      const title = ts.isCallExpression(node) && isTest(node.expression) && node.arguments[0];
      return title ? wordsOf(title) : null;
    }),
  );
}

/**
 * Whether an expression is `test`, `it` or `describe`, or one of them with `.each(…)`, `.skipIf(…)` or the like.
 *
 * @param {ts.Expression} expression
 * @returns {boolean}
 */
function isTest(expression) {
  if (ts.isIdentifier(expression)) return /^(?:test|it|describe)$/.test(expression.text);
  return (
    (ts.isPropertyAccessExpression(expression) || ts.isCallExpression(expression)) && isTest(expression.expression)
  );
}

/**
 * @param {string} root
 * @param {string} folder
 */
function filesOf(root, folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules/'))
    .map((name) => `${folder}/${name}`);
}

/**
 * @param {string} root
 * @param {string} file
 */
function parsed(root, file) {
  const options = { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone };
  return ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), options);
}
