/** What a page of another origin tries in a real browser, which has the reader's way to a server on his own machine. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { startTarget } from '../helpers/attack.ts';
import { startBrowser } from '../helpers/browser.ts';
import { until } from '../helpers/until.ts';

/** A name that has pointed to the page's own server, and now points here. */
const REBOUND = 'rebound.test';

/** What a page tries, in the page itself. @returns what it could read of the server; empty: nothing. */
const ATTACKS: Record<string, string> = {
  'a form': 'submit("application/x-www-form-urlencoded", "script", script)',
  'a form with files': 'submit("multipart/form-data", "script", script)',
  'a form of text that looks like JSON': `submit("text/plain", payload.slice(0, -1) + ',"description":"', '"}')`,
  'fetch no-cors, as text': 'read(fetch(url, { method: "POST", mode: "no-cors", body: payload }))',
  'fetch no-cors, as JSON':
    'read(fetch(url, { method: "POST", mode: "no-cors", headers: { "Content-Type": "application/json" }, body: payload }))',
  'fetch no-cors, as a blob of JSON':
    'read(fetch(url, { method: "POST", mode: "no-cors", body: new Blob([payload], { type: "application/json" }) }))',
  'fetch cors, as JSON':
    'read(fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: payload }))',
  'fetch cors, as text': 'read(fetch(url, { method: "POST", body: payload }))',
  'fetch cors with a tab in the type':
    'read(fetch(url, { method: "POST", headers: { "Content-Type": "text/plain;application/json\\tx" }, body: payload }))',
  'fetch of the list': 'read(fetch(url))',
  'fetch no-cors of the list': 'read(fetch(url, { mode: "no-cors" }))',
  'fetch of the readiness': 'read(fetch(base + "/manage/ready"))',
  'fetch of the document': 'read(fetch(base + "/docs/json"))',
  'fetch to delete': 'read(fetch(url + "?status=EXECUTED", { method: "DELETE" }))',
  sendBeacon: 'navigator.sendBeacon(url + "?beacon", payload) && ""',
  'sendBeacon of JSON': 'navigator.sendBeacon(url, new Blob([payload], { type: "application/json" })) && ""',
  XHR: 'xhr("text/plain")',
  'XHR of JSON': 'xhr("application/json")',
  'a picture': 'load("img", "src", url)',
  'a script':
    'load("script", "src", base + "/docs/static/swagger-ui-bundle.js").then(() => self.SwaggerUIBundle ? "a script" : "")',
  'a style': 'load("link", "href", base + "/docs/static/swagger-ui.css")',
  EventSource:
    'new Promise((done) => { const source = new EventSource(base + "/api/v1/events"); source.onopen = () => done("events"); source.onerror = () => { source.close(); done(""); }; })',
  WebSocket:
    'new Promise((done) => { const socket = new WebSocket(url.replace("http", "ws")); socket.onopen = () => done("a socket"); socket.onerror = () => done(""); })',
  'a frame': 'frame(base + "/docs/")',
  'a frame without an origin': 'frame(base + "/docs/", "allow-scripts")',
  'a form in a frame without an origin': `inFrame("<form method=POST enctype=text/plain action='" + url + "'><input name='x'></form><script>document.forms[0].submit()</scr" + "ipt>")`,
  'fetch in a frame without an origin': `inFrame("<script>fetch('" + url + "', { method: 'POST', mode: 'no-cors', body: " + JSON.stringify(payload) + " })</scr" + "ipt>")`,
};

/** What the attacks are made with. */
const TOOLS = `
const read = (answer) => answer.then((a) => a.text()).catch(() => "");
const settled = (element) => new Promise((done) => { element.onload = element.onerror = () => done(""); });
const submit = (type, name, value) => {
  const frame = Object.assign(document.createElement("iframe"), { name: "target" + Math.random() });
  document.body.append(frame);
  const form = Object.assign(document.createElement("form"), { method: "POST", action: url, enctype: type, target: frame.name });
  form.append(Object.assign(document.createElement("input"), { name, value }));
  document.body.append(form);
  const end = settled(frame);
  form.submit();
  return end;
};
const xhr = (type) => new Promise((done) => {
  const request = new XMLHttpRequest();
  request.open("POST", url);
  request.setRequestHeader("Content-Type", type);
  request.onloadend = () => done(request.responseText);
  request.send(payload);
});
const load = (tag, key, value) => {
  const element = Object.assign(document.createElement(tag), { [key]: value, rel: "stylesheet" });
  const end = settled(element);
  document.body.append(element);
  return end;
};
const frame = async (src, sandbox) => {
  const element = document.createElement("iframe");
  if (sandbox) element.sandbox = sandbox;
  element.src = src;
  const end = settled(element);
  document.body.append(element);
  await end;
  try { return element.contentDocument?.body?.innerText ?? ""; } catch { return ""; }
};
const inFrame = async (html) => {
  const element = Object.assign(document.createElement("iframe"), { srcdoc: html });
  element.sandbox = "allow-scripts allow-forms";
  const end = settled(element);
  document.body.append(element);
  return end;
};`;

t.test('a page of another origin runs nothing and reads nothing, whatever it tries', async (t) => {
  const { port, payload, unharmed, app } = await startTarget(t);
  const pages = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<body>evil</body>'));
  await once(pages.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => pages.close());
  const { port: evilPort } = pages.address() as AddressInfo;
  const browser = await startBrowser(t, `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1, MAP evil.test 127.0.0.1`);

  let came: string[] = [];
  app.server.on('request', ({ url = '' }) => came.push(url));
  const script = JSON.parse(payload).script;
  const worlds: [what: string, page: string, base: string][] = [
    ['another port of the same address', `http://127.0.0.1:${evilPort}`, `http://127.0.0.1:${port}`],
    ['localhost against 127.0.0.1', `http://localhost:${evilPort}`, `http://127.0.0.1:${port}`],
    ['another site', `http://evil.test:${evilPort}`, `http://localhost:${port}`],
    ['another site, by 0.0.0.0', `http://evil.test:${evilPort}`, `http://0.0.0.0:${port}`],
    ['a name that points here, from another port of it', `http://${REBOUND}:${evilPort}`, `http://${REBOUND}:${port}`],
  ];
  for (const [what, origin, base] of worlds) {
    came = [];
    const page = await browser.newPage();
    await page.goto(origin);
    const given = Object.entries({ base, url: `${base}/api/v1/commands`, payload, script })
      .map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`)
      .join('');
    const all = Object.values(ATTACKS).map((attack) => `(async () => ${attack})()`);
    const could: string[] = await page.evaluate(`(async () => { ${given}${TOOLS} return Promise.all([${all}]); })()`);
    for (const [n, attack] of Object.keys(ATTACKS).entries()) t.equal(could[n], '', `${what}: ${attack}`);
    // The browser lets much of it through: it is the server that refuses. Nobody is told when a beacon has come.
    await until('the beacon has come', () => came.some((url) => url.endsWith('?beacon')));
    t.ok(came.length >= 10, `${what}: ${came.length} requests came`);
    await page.close();
    await unharmed(what);
  }
});

t.test('a page that was loaded from a name which points here now gets nothing by it', async (t) => {
  const { port, payload, unharmed } = await startTarget(t);
  const browser = await startBrowser(t, `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`);
  const page = await browser.newPage();
  // To the browser all of this is one origin: nothing but the name tells.
  const answer = await page.goto(`http://${REBOUND}:${port}/docs/`);
  t.equal(answer?.status(), 403);
  for (const [method, path, body] of [
    ['POST', '/api/v1/commands', payload],
    ['GET', '/api/v1/commands', undefined],
    ['GET', '/manage/ready', undefined],
  ] as const) {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const status = await page.evaluate(
      `fetch(${JSON.stringify(path)}, ${JSON.stringify({ method, headers, body })}).then((a) => a.status, () => 0)`,
    );
    // The policy of the refusal forbids its page even to ask.
    t.ok(status === 403 || status === 0, `${method} ${path}: ${status}`);
  }
  await unharmed('rebinding');
});
