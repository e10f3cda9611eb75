// An independent reader of envelope-v1, written from docs/spec/envelope-v1.md; shares no code with generate.mjs.
//
//   node verify.mjs <directory>  checks every vector in it and the worked example of the specification
//   node verify.mjs --open       reads {keyset, keys, context, envelope: base64} as JSON lines from standard input and
//                                answers each with one line: {result, plaintext?: base64, field?, offset?, reason?}
//
// Node >= 18, standard crypto only. Straightforward rather than fast; not hardened for use on production keys.
import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

class Refusal extends Error {
  constructor(result, detail) {
    super(JSON.stringify({ result, ...detail }));
    this.outcome = { result, ...detail };
  }
}

const malformed = (field, offset) => new Refusal('malformed', { field, offset });
const unavailable = (reason) => new Refusal('key-unavailable', { reason });
const notAuthentic = () => new Refusal('decryption-failed', {});
const invalidContext = () => new Refusal('invalid-context', {});

// ---- parsing (§4, §9, §10) ------------------------------------------------------------------------------------------

class Cursor {
  #data;
  #at = 0;
  #field = 0;

  constructor(data) {
    this.#data = data;
  }

  take(field, count) {
    this.#field = this.#at;
    if (this.#data.length - this.#at < count) {
      throw malformed(field, this.#at); // ENV-7
    }
    this.#at += count;
    return this.#data.subarray(this.#at - count, this.#at);
  }

  /** Holds the field that was taken last to a condition. */
  check(field, condition) {
    check(field, this.#field, condition);
  }

  rest() {
    return this.#data.subarray(this.#at);
  }

  get at() {
    return this.#at;
  }
}

function check(field, offset, condition) {
  if (!condition) {
    throw malformed(field, offset);
  }
}

function parseHeader(cursor) {
  cursor.check('magic', cursor.take('magic', 3).toString('latin1') === 'SWX'); // ENV-1
  cursor.check('format version', cursor.take('format version', 1)[0] === 1); // ENV-2
  const suite = cursor.take('suite', 1)[0];
  cursor.check('suite', suite === 1 || suite === 2); // ENV-3
  const nameLength = cursor.take('keyset name length', 1)[0];
  cursor.check('keyset name length', nameLength >= 1 && nameLength <= 64); // ENV-4
  const keyset = cursor.take('keyset name', nameLength).toString('latin1');
  cursor.check('keyset name', /^[a-z0-9][a-z0-9._-]*$/.test(keyset)); // ENV-5
  const version = cursor.take('key version', 4).readInt32BE();
  cursor.check('key version', version >= 1); // ENV-6
  const wrapped = cursor.take('wrapped data key', 40);
  const commitment = cursor.take('commitment', 32);
  return { suite, keyset, version, wrapped, commitment, length: cursor.at };
}

function parse(data) {
  const cursor = new Cursor(data);
  const head = parseHeader(cursor);
  return withBody(head, cursor.rest());
}

function parseSplit(header, body) {
  const cursor = new Cursor(header);
  const head = parseHeader(cursor);
  check('body', head.length, cursor.rest().length === 0); // ENV-35
  return withBody(head, body);
}

function withBody(head, body) {
  const [least, most] = head.suite === 1 ? [28, 12 + 32768 + 16] : [72, Infinity];
  check('body', head.length, body.length >= least && body.length <= most); // ENV-8, ENV-9
  return { ...head, body };
}

function bytesOfText(text) {
  check('text prefix', 0, text.startsWith('swx1.')); // ENV-31
  for (let i = 5; i < text.length; i++) {
    check('text', i, /[A-Za-z0-9_-]/.test(text[i])); // ENV-32; by UTF-16 units, as strings are indexed here
  }
  const coded = text.slice(5);
  const data = Buffer.from(coded, 'base64url');
  check('text', text.length - 1, data.toString('base64url') === coded); // ENV-33
  return data;
}

// ---- keys and contexts (§5, §6) -----------------------------------------------------------------------------------------

function hkdfExpand(hash, key, info, length) {
  const blocks = [];
  for (let n = 1, previous = ''; blocks.reduce((sum, b) => sum + b.length, 0) < length; n++) {
    previous = createHmac(hash, key).update(previous).update(info).update(String.fromCharCode(n), 'latin1').digest();
    blocks.push(previous);
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function canonicalContext(pairs) {
  const keys = pairs.map(([key]) => key).sort(); // the default order of JavaScript strings is that of UTF-16 units
  const loneSurrogate = /\p{Surrogate}/u; // with "u", two that are a pair are one character of another kind
  if (keys.includes('') || new Set(keys).size !== keys.length || keys.length > 64 || pairs.flat().some((s) => loneSurrogate.test(s))) {
    throw invalidContext(); // ENV-12
  }
  const values = new Map(pairs);
  const out = [];
  const put16 = (n) => out.push(Buffer.from([n >> 8, n & 255]));
  put16(keys.length);
  for (const string of keys.flatMap((key) => [key, values.get(key)])) {
    const encoded = Buffer.from(string, 'utf8');
    put16(encoded.length);
    out.push(encoded);
  }
  const encoding = Buffer.concat(out);
  if (encoding.length > 8192) {
    throw invalidContext(); // ENV-12
  }
  return encoding;
}

/** RFC 5649 unwrapping by RFC 3394 §2.2.2 over single AES blocks. */
function unwrapDataKey(kek, wrapped) {
  const aes = createDecipheriv('aes-256-ecb', kek, null).setAutoPadding(false);
  let a = wrapped.subarray(0, 8);
  const r = [1, 2, 3, 4].map((i) => wrapped.subarray(8 * i, 8 * i + 8));
  for (let t = 24; t >= 1; t--) {
    const i = (t - 1) % 4;
    const counted = Buffer.from(a);
    counted[7] ^= t;
    const block = aes.update(Buffer.concat([counted, r[i]]));
    a = block.subarray(0, 8);
    r[i] = block.subarray(8);
  }
  if (a.toString('hex') !== 'a65959a600000020') {
    throw notAuthentic(); // ENV-16: the constant, and a length of exactly 32, which leaves no padding
  }
  return Buffer.concat(r);
}

function derive(label, dataKey, { suite, keyset }) {
  const info = `sealwax/envelope/v1/${label}\0${String.fromCharCode(suite, keyset.length)}${keyset}`;
  return hkdfExpand('sha256', dataKey, Buffer.from(info, 'latin1'), 32);
}

// ---- opening (§13) -------------------------------------------------------------------------------------------------------

function openGcm(key, nonce, aad, sealed) {
  const cipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad);
  cipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plaintext = cipher.update(sealed.subarray(0, sealed.length - 16));
  try {
    cipher.final();
  } catch {
    throw notAuthentic();
  }
  return plaintext;
}

function openChunked(messageKey, context, body) {
  const salt = body.subarray(0, 24);
  const info = Buffer.concat([Buffer.from('c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0', 'latin1'), salt, context]);
  const derived = hkdfExpand('sha512', messageKey, info, 76);
  if (!timingSafeEqual(derived.subarray(44), body.subarray(24, 56))) {
    throw notAuthentic(); // ENV-25
  }
  const plaintext = [];
  for (let rest = body.subarray(56), n = 0n; ; n++) {
    const last = rest.length < 16400;
    if (last && rest.length < 16) {
      throw notAuthentic(); // ENV-28
    }
    const counter = Buffer.from(n.toString(16).padStart(24, '0'), 'hex');
    const nonce = derived.subarray(32, 44).map((byte, i) => byte ^ counter[i]); // ENV-27
    plaintext.push(openGcm(derived.subarray(0, 32), nonce, Buffer.alloc(0), rest.subarray(0, 16400)));
    if (last) {
      return Buffer.concat(plaintext); // ENV-26
    }
    rest = rest.subarray(16400);
  }
}

/** Opens what `input` parses for a reader who holds a keyset and looks at a clock. */
function open(input, { keyset, keys, expiresAt, now }, pairs) {
  const context = canonicalContext(pairs);
  const envelope = input();
  if (envelope.keyset !== keyset) {
    throw unavailable('OTHER_KEYSET'); // ENV-40
  }
  const key = keys.find((candidate) => candidate.version === envelope.version);
  if (!key) {
    throw unavailable('UNKNOWN_VERSION'); // ENV-41
  }
  if (key.state !== 'ENABLED' && key.state !== 'PENDING') {
    throw unavailable(key.state); // ENV-42
  }
  if ([key.expiresAt, expiresAt].some((date) => date && Date.parse(now) >= Date.parse(date))) {
    throw unavailable('EXPIRED'); // ENV-42
  }
  const dataKey = unwrapDataKey(Buffer.from(key.kek, 'hex'), envelope.wrapped);
  if (!timingSafeEqual(derive('commitment', dataKey, envelope), envelope.commitment)) {
    throw notAuthentic(); // ENV-19
  }
  const messageKey = derive('message-key', dataKey, envelope);
  return envelope.suite === 1
    ? openGcm(messageKey, envelope.body.subarray(0, 12), context, envelope.body.subarray(12))
    : openChunked(messageKey, context, envelope.body);
}

function outcomeOf(action) {
  try {
    return { result: 'success', plaintext: action() };
  } catch (error) {
    if (error instanceof Refusal) {
      return error.outcome;
    }
    throw error;
  }
}

// ---- the vectors -----------------------------------------------------------------------------------------------------------

const SPECIFICATION = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'spec', 'envelope-v1.md');
const INPUTS = ['envelope', 'envelopeBase64', 'text', 'splitHeader'];
const RESULTS = { success: ['plaintext'], malformed: ['field', 'offset'], 'key-unavailable': ['reason'], 'decryption-failed': [], 'invalid-context': [] };
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/;

/** Keyset and versions may have a date of expiry, and if one has, there is a clock. */
function checkDates({ expiresAt, keys, now }) {
  const dates = [expiresAt, ...keys.map((key) => key.expiresAt)].filter((date) => date !== undefined);
  const clocks = now === undefined ? [] : [now];
  if ((dates.length > 0) !== (clocks.length > 0) || ![...dates, ...clocks].every((date) => DATE.test(date))) {
    throw new Error('dates of expiry need a clock, and both the form of RFC 3339 in UTC');
  }
  if (!keys.every((key) => Object.keys(key).every((field) => ['version', 'state', 'kek', 'expiresAt'].includes(field)))) {
    throw new Error('unexpected field of a key');
  }
}

function checkShape(vector, known) {
  const results = RESULTS[vector.expect] ?? [];
  const dates = ['expiresAt', 'now'].filter((field) => field in vector);
  const contexts = ['context', 'contextPairs'].filter((field) => field in vector);
  const inputs = INPUTS.filter((field) => field in vector);
  const expected = ['comment', 'spec', 'keyset', 'keys', 'expect', ...dates, ...contexts, ...inputs, ...results];
  if (!(vector.expect in RESULTS) || contexts.length !== 1 || inputs.length !== 1 || Object.keys(vector).sort().join() !== expected.sort().join()) {
    throw new Error(`unexpected set of fields: ${Object.keys(vector)}`);
  }
  checkDates(vector);
  const unknown = vector.spec.filter((id) => !known.has(id));
  if (unknown.length || vector.spec.length === 0) {
    throw new Error(`cites no or unknown requirements: ${unknown}`);
  }
}

function inputOf(vector) {
  if (vector.splitHeader) {
    return parseSplit(Buffer.from(vector.splitHeader.header, 'hex'), Buffer.from(vector.splitHeader.body, 'hex'));
  }
  const encoding = 'envelope' in vector ? 'hex' : 'base64';
  return parse('text' in vector ? bytesOfText(vector.text) : Buffer.from(vector.envelope ?? vector.envelopeBase64, encoding));
}

function plaintextOf({ plaintext }) {
  return typeof plaintext === 'string' ? Buffer.from(plaintext, 'hex') : Buffer.alloc(plaintext.length, Buffer.from(plaintext.repeat, 'hex'));
}

function checkVector(vector, known) {
  checkShape(vector, known);
  const pairs = vector.contextPairs ?? Object.entries(vector.context);
  const outcome = outcomeOf(() => open(() => inputOf(vector), vector, pairs));
  const matches = (detail) => (detail === 'plaintext' ? outcome.plaintext?.equals(plaintextOf(vector)) : outcome[detail] === vector[detail]);
  const details = RESULTS[vector.expect];
  if (outcome.result !== vector.expect || !details.every(matches)) {
    throw new Error(`expected ${vector.expect} ${details.map((detail) => JSON.stringify(vector[detail]))}, got ${JSON.stringify(outcome)}`);
  }
}

/** Opens the worked example with what it says and compares every value it shows. */
function checkExample(specification) {
  const block = /```text worked-example\n([^`]*)```/.exec(specification);
  if (!block) {
    throw new Error('the specification has no worked example');
  }
  const shown = new Map();
  let row;
  for (const line of block[1].trimEnd().split('\n')) {
    row = line.slice(0, 20).trim() || row;
    shown.set(row, (shown.get(row) ?? '') + line.slice(20));
  }
  const get = (name) => Buffer.from(shown.get(name), 'hex');
  const data = bytesOfText(shown.get('text form'));
  const parts = ['magic', 'format version', 'suite', 'keyset name length', 'keyset name', 'key version', 'wrapped data key', 'commitment', 'nonce', 'ciphertext', 'tag'];
  const envelope = parse(data);
  const dataKey = unwrapDataKey(get('KEK'), envelope.wrapped);
  const keys = [{ version: 1, state: 'ENABLED', kek: shown.get('KEK') }];
  const pairs = [['row', '42']];
  const agreements = {
    'text form': data.equals(Buffer.concat(parts.map(get))),
    'data key': dataKey.equals(get('data key')),
    context: canonicalContext(pairs).equals(get('context')),
    'message key': derive('message-key', dataKey, envelope).equals(get('message key')),
    plaintext: open(() => envelope, { keyset: 'a', keys }, pairs).equals(get('plaintext')),
  };
  const wrong = Object.keys(agreements).filter((name) => !agreements[name]);
  if (wrong.length) {
    throw new Error(`the worked example is wrong at: ${wrong}`);
  }
}

function verifyDirectory(directory) {
  const specification = readFileSync(SPECIFICATION, 'utf8');
  const known = new Set([...specification.matchAll(/\*\*\[(ENV-\d+)\]\*\*/g)].map((match) => match[1]));
  const tally = { passed: 0, failed: 0, positive: 0 };
  const attempt = (name, action) => {
    try {
      action();
      tally.passed++;
    } catch (error) {
      tally.failed++;
      console.log(`${name}: ${error.message}`);
    }
  };
  const files = readdirSync(directory).sort();
  for (const file of files) {
    attempt(file, () => {
      if (!/^[a-z0-9_]+\.json$/.test(file)) {
        throw new Error('not a vector');
      }
      const vector = JSON.parse(readFileSync(join(directory, file), 'utf8'));
      tally.positive += vector.expect === 'success' ? 1 : 0;
      checkVector(vector, known);
    });
  }
  attempt('the set of vectors', () => {
    if (files.length < 160 || tally.positive === 0 || tally.positive / files.length >= 0.2) {
      throw new Error(`${files.length} files, ${tally.positive} positive; at least 160, more than 80 % negative wanted`);
    }
  });
  attempt('docs/spec/envelope-v1.md', () => checkExample(specification));
  console.log(`${files.length} vectors, ${files.length - tally.positive} of them negative`);
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  process.exitCode = tally.failed ? 1 : 0;
}

function openLines() {
  for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const { keyset, keys, context, envelope } = JSON.parse(line);
    const outcome = outcomeOf(() => open(() => parse(Buffer.from(envelope, 'base64')), { keyset, keys }, Object.entries(context)));
    console.log(JSON.stringify({ ...outcome, plaintext: outcome.plaintext?.toString('base64') }));
  }
}

if (process.argv[2] === '--open') {
  openLines();
} else if (process.argv.length === 3) {
  verifyDirectory(process.argv[2]);
} else {
  console.error('usage: node verify.mjs <directory> | --open');
  process.exitCode = 2;
}
