// A SPIFFE Workload API server (grpc-js) that does what it is told.
//
//   node agent.js unix:/path/of/socket
//
// Standard input, a JSON object a line:
//   {"call": "FetchX509SVID", "say": {svids: [...], ...}}  from now on the response, also to open streams; bytes
//                                                          are base64
//   {"call": ..., "raw": "base64"}                         the bytes of the message as they are
//   {"call": ..., "status": 7, "text": "..."}              from now on every call ends like this, open ones too
// Standard output: {"event": "ready" | "call" | "said"}, a line each; of a call its metadata.
'use strict';
const path = require('path');
const readline = require('readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync(path.join(__dirname, 'workloadapi.proto'), { keepCase: true });
const service = { ...definition.SpiffeWorkloadAPI };
for (const name of Object.keys(service)) {
  const serialize = service[name].responseSerialize;
  service[name] = { ...service[name], responseSerialize: (m) => (Buffer.isBuffer(m) ? m : serialize(m)) };
}

const now = {}; // call: what it is answered
const open = { FetchX509SVID: new Set(), FetchX509Bundles: new Set() };
const tell = (o) => process.stdout.write(JSON.stringify(o) + '\n');

function answer(name, stream) {
  const a = now[name];
  if (!a) return;
  if (a.status !== undefined) {
    open[name].delete(stream);
    stream.emit('error', { code: a.status, details: a.text || '' });
  } else {
    stream.write(a.message);
  }
}

function handler(name) {
  return (stream) => {
    tell({ event: 'call', call: name, metadata: stream.metadata.getMap() });
    const marker = stream.metadata.get('workload.spiffe.io');
    if (marker.length !== 1 || marker[0] !== 'true') {
      stream.emit('error', { code: grpc.status.INVALID_ARGUMENT, details: 'security header missing from request' });
      return;
    }
    open[name].add(stream);
    stream.on('cancelled', () => open[name].delete(stream));
    answer(name, stream);
  };
}

const bytes = (s) => Buffer.from(s, 'base64');
const map = (o) => Object.fromEntries(Object.entries(o || {}).map(([k, v]) => [k, bytes(v)]));

function message(say) {
  const m = { crl: (say.crl || []).map(bytes) };
  if (say.bundles) m.bundles = map(say.bundles);
  if (say.federated_bundles) m.federated_bundles = map(say.federated_bundles);
  if (say.svids) {
    m.svids = say.svids.map((s) => ({ ...s, x509_svid: bytes(s.x509_svid || ''),
      x509_svid_key: bytes(s.x509_svid_key || ''), bundle: bytes(s.bundle || '') }));
  }
  return m;
}

const server = new grpc.Server();
server.addService(service, {
  FetchX509SVID: handler('FetchX509SVID'),
  FetchX509Bundles: handler('FetchX509Bundles'),
});
server.bindAsync(process.argv[2], grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) throw err;
  tell({ event: 'ready' });
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const o = JSON.parse(line);
  if (o.status !== undefined) now[o.call] = o;
  else now[o.call] = { message: o.raw !== undefined ? bytes(o.raw) : message(o.say) };
  for (const stream of [...open[o.call]]) answer(o.call, stream);
  tell({ event: 'said', call: o.call });
}).on('close', () => process.exit(0));
