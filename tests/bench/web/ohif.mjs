// Serves OHIF's built pages over HTTPS and HTTP/2, packed like ours, and passes DICOMweb on to the relay with a reader's session.
// Arguments: folder of the pages, address, port, the relay's plain port, a folder for the certificate, the password.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { request } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const [pages, address, port, relayPort, scratch, password] = process.argv.slice(2);
const key = join(scratch, 'ohif-key.pem');
const certificate = join(scratch, 'ohif.pem');
if (!existsSync(key)) {
  const subject = ['-subj', '/CN=ohif', '-addext', `subjectAltName=IP:${address}`];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' });
}
const relay = `http://127.0.0.1:${relayPort}`;
const signedIn = await fetch(`${relay}/api/v1/sessions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ login: 'verifier', password, kind: 'program' }),
});
const { token } = await signedIn.json();

const CONFIG = `window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true, investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb', configuration: {
    friendlyName: 'medrelay', name: 'medrelay', wadoUriRoot: '/dicomweb', qidoRoot: '/dicomweb', wadoRoot: '/dicomweb',
    qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
    supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
    bulkDataURI: { enabled: true }, singlepart: 'bulkdata,video' } }],
};`;
const KINDS = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.wasm': 'application/wasm', '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2', '.ico': 'image/x-icon' };
const packed = new Map();

function page(path) {
  let file = join(pages, normalize(path));
  if (!file.startsWith(pages) || !existsSync(file) || statSync(file).isDirectory()) file = extname(path) ? null : join(pages, 'index.html');
  return file;
}

function sendPage(path, answer) {
  if (path === '/app-config.js') {
    answer.writeHead(200, { 'content-type': 'text/javascript' });
    return answer.end(CONFIG);
  }
  const file = page(path);
  if (!file) {
    answer.writeHead(404);
    return answer.end();
  }
  const kind = KINDS[extname(file)] ?? 'application/octet-stream';
  const headers = { 'content-type': kind, 'cache-control': file.endsWith('.html') ? 'no-cache' : 'public, max-age=31536000, immutable' };
  if (!/text|json|javascript|wasm|svg/.test(kind)) {
    answer.writeHead(200, headers);
    return createReadStream(file).pipe(answer);
  }
  if (!packed.has(file)) packed.set(file, brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }));
  answer.writeHead(200, { ...headers, 'content-encoding': 'br' });
  return answer.end(packed.get(file));
}

// Packed before anybody asks: the first visitor is not to wait for it.
const entry = readFileSync(join(pages, 'index.html'), 'utf8');
for (const found of entry.matchAll(/(?:src|href)="\/?([^"]+\.(?:js|css))"/g)) {
  const file = page(`/${found[1]}`);
  if (file) packed.set(file, brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }));
}

createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate), allowHTTP1: true }, (asked, answer) => {
  const path = new URL(asked.url, 'https://ohif').pathname;
  if (!path.startsWith('/dicomweb')) return sendPage(path, answer);
  const headers = { authorization: `Bearer ${token}`, 'accept-encoding': asked.headers['accept-encoding'] ?? '' };
  if (asked.headers.accept) headers.accept = asked.headers.accept;
  const passed = request(relay + asked.url, { method: asked.method, headers }, (from) => {
    const { connection, 'keep-alive': _, 'transfer-encoding': __, ...kept } = from.headers;
    answer.writeHead(from.statusCode, kept);
    from.pipe(answer);
  });
  passed.on('error', () => {
    answer.writeHead(502);
    answer.end();
  });
  passed.end();
}).listen(Number(port), address);
