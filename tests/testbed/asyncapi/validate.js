// Reads an AsyncAPI document from standard input and prints what AsyncAPI's own parser has to say about it: a JSON list of
// severity (0 error, 1 warning, 2 information, 3 hint), code, place and message. Its argument is the parser's folder.
'use strict';
const { readFileSync } = require('node:fs');
const { Parser } = require(process.argv[2]);

async function validate(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const told = diagnostics.map(({ severity, code, path, message }) => ({ severity, code, place: path.join('/'), message }));
  if (!document && told.length === 0) told.push({ severity: 0, code: 'no-document', place: '', message: 'not parsed' });
  return told;
}

validate(readFileSync(0, 'utf8')).then(
  (told) => console.log(JSON.stringify(told)),
  (error) => { console.error(error); process.exitCode = 1; },
);
