// Queries DuckDB: `node query.mjs FOLDER < SQL` prints rows as JSON. `crashes.ndjson` in the SQL is a file of FOLDER.
import { readFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

const sql = readFileSync(0, 'utf8');
process.chdir(process.argv[2]);
const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
const reader = await connection.runAndReadAll(sql);
process.stdout.write(JSON.stringify(reader.getRowObjectsJson()));
