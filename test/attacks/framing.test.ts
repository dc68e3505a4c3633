/** Requests over bare sockets of which nothing may come: of types that pages can send, and such as could be read in two ways. */
import t from 'tap';
import { startTarget } from '../helpers/attack.ts';

t.test('nothing comes of what is not plainly one request in JSON', async (t) => {
  const { head, post, payload, host, send, unharmed } = await startTarget(t);
  const json = 'Content-Type: application/json';
  const length = `Content-Length: ${payload.length}`;
  const chunked = 'Transfer-Encoding: chunked';
  const COMMANDS = 'POST /api/v1/commands HTTP/1.1';
  const HEALTH = 'GET /manage/health HTTP/1.1';
  const size = payload.length.toString(16);
  const chunk = `${size}\r\n${payload}\r\n0\r\n\r\n`;
  const inChunks = (body: string, ...headers: string[]) => head(COMMANDS, json, ...headers, chunked) + body;
  const hidden = post([json]);
  const hiding = (line: string, ...headers: string[]) =>
    head(line, ...headers, `Content-Length: ${hidden.length}`) + hidden;

  // The health that is asked for behind each is a 200 at the end, unless the connection was closed before.
  const rows: [what: string, bytes: string | Buffer, statuses: string][] = [
    ['text/plain', post(['Content-Type: text/plain']), '415 200'],
    ['a form', post(['Content-Type: application/x-www-form-urlencoded']), '415 200'],
    ['a form with files', post(['Content-Type: multipart/form-data; boundary=x']), '415 200'],
    ['no type', post([]), '415 200'],
    ['an empty type', post(['Content-Type:']), '415 200'],
    ['a tab in the type', post(['Content-Type: application/json\tx']), '415 200'],
    ['a type behind another', post(['Content-Type: text/plain, application/json']), '415 200'],
    ['a type like JSON', post(['Content-Type: application/problem+json']), '415 200'],
    ['text/json', post(['Content-Type: text/json']), '415 200'],
    ['UTF-7', post([`${json}; charset=utf-7`]), '415'],
    ['UTF-16', post([`${json}; charset=utf-16`]), '415'],
    ['no name of a charset', post([`${json}; charset=`]), '415'],
    ['gzip', post([json, 'Content-Encoding: gzip']), '415'],
    ['two types', post(['Content-Type: text/plain', json]), '400'],
    ['two types, JSON first', post([json, 'content-type: text/plain']), '400'],
    ['two encodings', post([json, 'Content-Encoding: identity', 'Content-Encoding: gzip']), '400'],

    ['a length and chunks', inChunks(chunk, length), '400'],
    ['chunks and a length', head(COMMANDS, json, chunked, 'Content-Length: 4') + chunk, '400'],
    ['chunked and identity', inChunks(chunk, chunked).replace(chunked, 'Transfer-Encoding: identity'), '400'],
    ['chunked twice', inChunks(chunk, chunked), '400'],
    ['chunked twice in one', head(COMMANDS, json, 'Transfer-Encoding: chunked, chunked') + chunk, '400'],
    ['identity', head(COMMANDS, json, 'Transfer-Encoding: identity') + chunk, '400'],
    ['xchunked', head(COMMANDS, json, 'Transfer-Encoding: xchunked') + chunk, '400'],
    ['gzip, chunked', head(COMMANDS, json, 'Transfer-Encoding: gzip, chunked') + chunk, '400'],
    ['a vertical tab before chunked', head(COMMANDS, json, 'Transfer-Encoding: \x0bchunked') + chunk, '400'],
    ['a space behind Transfer-Encoding', head(COMMANDS, json, 'Transfer-Encoding : chunked') + chunk, '400'],
    ['chunks in HTTP/1.0', inChunks(chunk).replace('HTTP/1.1', 'HTTP/1.0'), '400'],
    ['the same length twice', post([json, length]), '400'],
    ['two lengths', post([json, 'Content-Length: 0']), '400'],
    ['a list of lengths', head(COMMANDS, json, `${length}, ${payload.length}`) + payload, '400'],
    ['a length with a sign', head(COMMANDS, json, `Content-Length: +${payload.length}`) + payload, '400'],
    ['a negative length', head(COMMANDS, json, 'Content-Length: -1') + payload, '400'],
    ['a hexadecimal length', head(COMMANDS, json, `Content-Length: 0x${size}`) + payload, '400'],
    ['a length with a space', head(COMMANDS, json, 'Content-Length: 3 4') + payload, '400'],
    ['an empty length', head(COMMANDS, json, 'Content-Length:') + payload, '400'],
    ['a length of 23 digits', head(COMMANDS, json, `Content-Length: ${'9'.repeat(23)}`) + payload, '400'],
    ['a space before a colon', head(COMMANDS, json, length.replace(':', ' :')) + payload, '400'],
    ['a space before a header', head(COMMANDS, ` ${json}`, length) + payload, '400'],
    ['a folded type', head(COMMANDS, 'Content-Type:\r\n application/json', length) + payload, '400'],
    ['a folded encoding', head(COMMANDS, json, 'Transfer-Encoding:\r\n chunked') + chunk, '400'],
    ['line feeds alone', post([json]).replaceAll('\r\n', '\n'), '400'],
    ['one line feed alone', head(COMMANDS, `X: y\n${json}`, length) + payload, '400'],
    ['a carriage return alone', head(COMMANDS, `X: y\rZ: ${json}`, length) + payload, '400'],
    ['a line feed instead of the blank line', post([json]).replace('\r\n\r\n', '\r\n\n'), '400'],
    ['NUL in a header', head(COMMANDS, 'X: y\0', json, length) + payload, '400'],
    ['a header without a colon', head(COMMANDS, 'X', json, length) + payload, '400'],
    ['a header without a name', head(COMMANDS, ': x', json, length) + payload, '400'],
    ['a space in the name of a header', head(COMMANDS, 'a b: x', json, length) + payload, '400'],

    ['a chunk of 2^68', inChunks(`fffffffffffffffff\r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a chunk of 2^64 and its length', inChunks(`100000000000000${size}\r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a negative chunk', inChunks(`-${size}\r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['0x before a chunk', inChunks(`0x${size}\r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a space behind the length of a chunk', inChunks(`${size} \r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a line feed behind the length of a chunk', inChunks(`${size}\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a line feed behind an extension', inChunks(`${size};a\n${payload}\r\n0\r\n\r\n`), '400'],
    ['no line break behind a chunk', inChunks(`${size}\r\n${payload}0\r\n\r\n`), '400'],
    ['something else behind a chunk', inChunks(`${size}\r\n${payload}XX0\r\n\r\n`), '400'],
    ['an extension of 20,000 characters', inChunks(`${size};${'a'.repeat(20_000)}\r\n${payload}\r\n0\r\n\r\n`), '400'],
    ['a length among the trailers', inChunks(`1\r\nx\r\n0\r\nContent-Length: 3\r\n\r\n`), '400'],
    ['20,000 trailers', inChunks(`1\r\nx\r\n0\r\n${'X: y\r\n'.repeat(20_000)}\r\n`), '431'],

    ['a request in a body of text', hiding(COMMANDS, 'Content-Type: text/plain'), '415 200'],
    ['a request in a body of JSON', hiding(COMMANDS, json), '400'],
    ['a request in the body of a GET', hiding(HEALTH), '200 200'],
    ['a request in the body of a HEAD', hiding('HEAD /manage/health HTTP/1.1'), '200 200'],
    ['a request in the body of a DELETE', hiding('DELETE /api/v1/commands/x HTTP/1.1'), '415 200'],
    ['a request in the body of a PATCH', hiding('PATCH /api/v1/commands/x HTTP/1.1'), '415 200'],
    ['a request in the body of nothing', hiding('POST /nothing HTTP/1.1'), '404 200'],
    ['a request in the body of an OPTIONS', hiding('OPTIONS /api/v1/commands HTTP/1.1'), '404 200'],
    ['a request behind a CONNECT', head('CONNECT 127.0.0.1:80 HTTP/1.1') + hidden, ''],

    ['a whole URL', post([json]).replace('/api', `http://${host}/api`), '400'],
    ['a whole URL of another host', post([json]).replace('/api', 'http://evil.test/api'), '400'],
    ['a whole URL of a file', head('GET file:///etc/passwd HTTP/1.1'), '400'],
    ['a host as target', head('GET evil.test:80 HTTP/1.1'), '400'],
    ['a target with two slashes', head('GET //evil.test/manage/health HTTP/1.1'), '404 200'],
    ['a target with backslashes', head('GET \\manage\\health HTTP/1.1'), '400'],
    ['a star as target', head('OPTIONS * HTTP/1.1'), '404 200'],
    ['a space in the target', head('GET /manage/health x HTTP/1.1'), '400'],
    ['a control character in the target', head('GET /manage/\x01health HTTP/1.1'), '400'],
    ['a target that is not ASCII', Buffer.from(head('GET /manage/é HTTP/1.1')), '400'],
    ['HTTP/0.9', 'GET /manage/health\r\n\r\n', '400'],
    ['HTTP/1.2', head('GET /manage/health HTTP/1.2'), '400'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '400'],
    ['TLS', Buffer.from('16030100c8010000c403035f', 'hex'), '400'],
    ['NULs', Buffer.alloc(1000), '400'],
    ['a method in small letters', head('get /manage/health HTTP/1.1'), '400'],
    ['a method that is none', head('RUN /manage/health HTTP/1.1'), '400'],
    ['TRACE', head('TRACE / HTTP/1.1'), '404 200'],
    ['an expectation that is none', head(COMMANDS, 'Expect: 200-maybe', json, length) + payload, '417 200'],

    ['a header of 20,000 characters', head(HEALTH, `X: ${'y'.repeat(20_000)}`), '431'],
    ['the name of a header of 20,000 characters', head(HEALTH, `${'y'.repeat(20_000)}: x`), '431'],
    ['101 headers', head(HEALTH, ...Array(100).fill('X: y')), '431'],
    ['2,000 headers', head(HEALTH, ...Array(2000).fill('X: y')), '431'],
    ['100,000 headers', head(HEALTH, ...Array(100_000).fill('X: y')), '431'],
    ['a URL of 8,193 characters', head(`GET /manage/health?${'x'.repeat(8193 - 15)} HTTP/1.1`), '414'],
    ['a URL of 20,000 characters', head(`GET /${'x'.repeat(20_000)} HTTP/1.1`), '431'],
  ];
  for (const [what, bytes, statuses] of rows) {
    const answers = await send(bytes);
    t.equal(answers.statuses, statuses, what);
    t.notMatch(answers.text, /\bSELECT\b|INSERT|\.ts:\d|node_modules/, `${what}: nothing from inside`);
    await unharmed(what);
  }
});

t.test('what is sent behind an upgrade is no request in disguise', async (t) => {
  const { head, post, open, unharmed, database } = await startTarget(t);
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='];
  const { socket, answers } = await open(
    head('GET /manage/health HTTP/1.1', ...upgrade) + post(['Content-Type: text/plain']),
    true,
  );
  await t.resolves(new Promise((resolve) => socket.once('data', resolve)));
  t.match(answers().text, /^HTTP\/1\.1 200 OK\r\n/, 'there is no other protocol');
  socket.destroy();
  await unharmed('an upgrade');
  t.same(await database.rows('SELECT * FROM commands'), []);
});

t.test('nobody gets a second answer into the one that is under way', async (t) => {
  const { head, open, submit, reaches, unharmed, request } = await startTarget(t);
  const uuid = await submit('echo begun; sleep 1000', '/api/v1/durables/commands');
  const { socket, answers, closed } = await open(
    head(`GET /api/v1/commands/${uuid}/output?follow=true HTTP/1.1`),
    true,
  );
  while (!answers().text.includes('begun')) await new Promise((resolve) => socket.once('data', resolve));
  socket.write('no request\r\n\r\n');
  await closed;
  t.equal(answers().statuses, '200');
  t.notMatch(answers().text, /BAD_REQUEST/);
  await request('PATCH', `/api/v1/commands/${uuid}`);
  await reaches(uuid, 'STOPPED');
  await request('DELETE', `/api/v1/commands/${uuid}`);
  await unharmed('an answer in an answer');
});
