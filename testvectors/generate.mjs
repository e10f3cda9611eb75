// Writes the test vectors of envelope-v1, one JSON file per case; see README.md.
//
//   node generate.mjs            writes envelope-v1/
//   node generate.mjs --check    compares envelope-v1/ with what would be written; exit 1 on any difference
//   node generate.mjs --example  prints the worked example of docs/spec/envelope-v1.md
//
// Every byte comes from HMAC counters under fixed labels, so the output never changes by itself. Shares no code with
// verify.mjs on purpose. Node >= 18, standard crypto only.
import { createCipheriv, createHmac } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, 'envelope-v1');

// ---- bytes ----------------------------------------------------------------------------------------------------------

const cat = (...parts) => Buffer.concat(parts);
const ascii = (text) => Buffer.from(text, 'latin1');
const utf8 = (text) => Buffer.from(text, 'utf8');
const hex = (text) => Buffer.from(text, 'hex');
const u8 = (n) => Buffer.from([n]);

function u16(n) {
  const out = Buffer.alloc(2);
  out.writeUInt16BE(n);
  return out;
}

function u32(n) {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(n);
  return out;
}

/** Reproducible pseudorandom bytes for a label. */
function bytes(label, length) {
  const blocks = [];
  for (let i = 0; i * 32 < length; i++) {
    blocks.push(createHmac('sha256', 'sealwax envelope-v1 test vectors').update(`${label}#${i}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** A copy with one bit inverted; a negative index counts from the end. */
function flip(data, index, mask = 1) {
  const out = Buffer.from(data);
  out[index < 0 ? out.length + index : index] ^= mask;
  return out;
}

const cut = (data, count = 1) => data.subarray(0, data.length - count);

// ---- primitives -----------------------------------------------------------------------------------------------------

function expand(hash, key, info, length) {
  let block = Buffer.alloc(0);
  let out = Buffer.alloc(0);
  for (let i = 1; out.length < length; i++) {
    block = createHmac(hash, key).update(block).update(info).update(u8(i)).digest();
    out = cat(out, block);
  }
  return out.subarray(0, length);
}

function gcm(key, nonce, aad, plaintext) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  return cat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

function aesBlock(key, block) {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return cat(cipher.update(block), cipher.final());
}

/** RFC 3394 wrapping with any initial value, which is what the defective wrapped keys below need. */
function wrapRaw(kek, initialValue, data) {
  const cipher = createCipheriv('id-aes256-wrap', kek, initialValue);
  return cat(cipher.update(data), cipher.final());
}

/** RFC 5649: the initial value is A65959A6 and the true length. */
const kwp = (kek, key) => wrapRaw(kek, cat(hex('a65959a6'), u32(key.length)), key);

// ---- the format -----------------------------------------------------------------------------------------------------

const CHUNK = 16384;
const NAME = 'orders';

const info = (label, suite, name) => cat(ascii(`sealwax/envelope/v1/${label}\0`), u8(suite), u8(name.length), ascii(name));
const messageKey = (dek, suite, name = NAME) => expand('sha256', dek, info('message-key', suite, name), 32);
const commitment = (dek, suite, name = NAME) => expand('sha256', dek, info('commitment', suite, name), 32);

function canonical(pairs, order) {
  const sorted = order ? [...pairs].sort((a, b) => order(a[0], b[0])) : [...pairs].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return cat(u16(sorted.length), ...sorted.flatMap(([k, v]) => [k, v].flatMap((s) => [u16(utf8(s).length), utf8(s)])));
}

const canonicalOf = (context) => canonical(Object.entries(context));

function body1(key, aad, plaintext, nonce) {
  return cat(nonce, gcm(key, nonce, aad, plaintext));
}

function schedule2(key, aad, salt, hash = 'sha512', aead = 'AEAD_AES_256_GCM') {
  const out = expand(hash, key, cat(ascii(`c2sp.org/chunked-encryption@v1+${aead}\0`), salt, aad), 76);
  return { key: out.subarray(0, 32), base: out.subarray(32, 44), commitment: out.subarray(44) };
}

function chunkNonce(base, index) {
  const out = Buffer.from(base);
  out.writeUInt32BE((out.readUInt32BE(8) ^ index) >>> 0, 8);
  return out;
}

const sealChunk = (s, index, plaintext, aad = Buffer.alloc(0)) => gcm(s.key, chunkNonce(s.base, index), aad, plaintext);

/** The pieces of a suite 2 body, for cases that rearrange them. */
function pieces2(key, aad, plaintext, salt, s = schedule2(key, aad, salt)) {
  const chunks = [];
  for (let at = 0; at <= plaintext.length; at += CHUNK) {
    chunks.push(sealChunk(s, chunks.length, plaintext.subarray(at, at + CHUNK)));
  }
  return { salt, commitment: s.commitment, chunks, s };
}

const join2 = (p) => cat(p.salt, p.commitment, ...p.chunks);

/** An honest envelope in named parts; cases replace parts and then join. */
function envelope(options = {}) {
  const o = { label: 'base', suite: 1, name: NAME, version: 1, context: CONTEXT, ...options };
  const dek = o.dek ?? bytes(`dek ${o.label} suite ${o.suite} ${o.name}`, 32);
  const plaintext = o.plaintext ?? PLAINTEXT;
  const aad = o.aad ?? canonicalOf(o.context);
  const key = messageKey(dek, o.suite, o.name);
  const parts = {
    magic: ascii('SWX'),
    format: u8(1),
    suite: u8(o.suite),
    nameLength: u8(o.name.length),
    name: ascii(o.name),
    version: u32(o.version),
    wrapped: kwp(o.kek ?? KEK[o.version], dek),
    commitment: commitment(dek, o.suite, o.name),
    body: o.suite === 1
      ? body1(key, aad, plaintext, o.nonce ?? bytes(`nonce ${o.label}`, 12))
      : join2(pieces2(key, aad, plaintext, o.salt ?? bytes(`salt ${o.label}`, 24))),
  };
  return { parts, dek, aad, key, plaintext, context: o.context };
}

const header = (p) => cat(p.magic, p.format, p.suite, p.nameLength, p.name, p.version, p.wrapped, p.commitment);
const whole = (p) => cat(header(p), p.body);
const text = (data) => `swx1.${data.toString('base64url')}`;

// ---- two-key ciphertexts ("invisible salamanders") --------------------------------------------------------------------

const REDUCTION = 0xe1n << 120n;
const toField = (block) => BigInt(`0x${block.toString('hex')}`);
const fromField = (value) => hex(value.toString(16).padStart(32, '0'));

function multiply(x, y) {
  let z = 0n;
  for (let v = y, bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) z ^= v;
    v = v & 1n ? (v >> 1n) ^ REDUCTION : v >> 1n;
  }
  return z;
}

function power(x, exponent) {
  let out = 1n << 127n;
  for (let square = x, e = exponent; e > 0n; e >>= 1n, square = multiply(square, square)) {
    if (e & 1n) out = multiply(out, square);
  }
  return out;
}

function pad16(data) {
  return cat(data, Buffer.alloc((16 - (data.length % 16)) % 16));
}

function ghash(h, blocks) {
  let y = 0n;
  for (let i = 0; i < blocks.length; i += 16) {
    y = multiply(y ^ toField(blocks.subarray(i, i + 16)), h);
  }
  return y;
}

/** Ciphertext and tag that open under both {key, nonce} pairs; the last ciphertext block is the one solved for. */
function salamander(a, b, aad, ciphertext) {
  const free = cat(ciphertext, Buffer.alloc(16));
  const lengths = cat(u32(0), u32(aad.length * 8), u32(0), u32(free.length * 8));
  const hashed = cat(pad16(aad), free, lengths);
  const sides = [a, b].map(({ key, nonce }) => {
    const h = toField(aesBlock(key, Buffer.alloc(16)));
    const mask = toField(aesBlock(key, cat(nonce, u32(1))));
    return { h, mask, rest: ghash(h, hashed) ^ mask };
  });
  // The free block is the last but one, so it enters each tag multiplied by h^2.
  const difference = power(sides[0].h, 2n) ^ power(sides[1].h, 2n);
  const solved = multiply(sides[0].rest ^ sides[1].rest, power(difference, (1n << 128n) - 2n));
  const tag = sides[0].rest ^ multiply(solved, power(sides[0].h, 2n));
  return cat(ciphertext, fromField(solved), fromField(tag));
}

function decryptGcmUnchecked(key, nonce, ciphertext) {
  const cipher = createCipheriv('aes-256-ctr', key, cat(nonce, u32(2)));
  return cat(cipher.update(ciphertext), cipher.final());
}

// ---- collecting cases -------------------------------------------------------------------------------------------------

const KEK = { 1: bytes('kek 1', 32), 2: bytes('kek 2', 32), 2147483647: bytes('kek largest', 32) };
const CONTEXT = { table: 'orders', row: '42' };
const PLAINTEXT = utf8('IBAN DE02 1203 0000 0000 2020 51');
const keyEntry = (version, state = 'ENABLED', kek = KEK[version], expiresAt = undefined) =>
  ({ version, state, ...(state === 'DESTROYED' ? {} : { kek: kek.toString('hex') }), ...(expiresAt ? { expiresAt } : {}) });
const KEYS = [keyEntry(1), keyEntry(2)];

const cases = new Map();

function add(name, ids, comment, input, expectation, extra = {}) {
  if (cases.has(name) || !/^[a-z0-9_]+$/.test(name)) throw new Error(`bad or repeated case name ${name}`);
  const { keyset = NAME, expiresAt, keys = KEYS, now, context = CONTEXT, contextPairs } = extra;
  const carried =
    typeof input === 'string' ? { text: input }
    : !Buffer.isBuffer(input) ? { splitHeader: { header: input.header.toString('hex'), body: input.body.toString('hex') } }
    : input.length > 4096 ? { envelopeBase64: input.toString('base64') }
    : { envelope: input.toString('hex') };
  cases.set(name, {
    comment,
    spec: ids.split(' ').map((id) => `ENV-${id}`),
    keyset,
    ...(expiresAt ? { expiresAt } : {}),
    keys,
    ...(now ? { now } : {}),
    ...(contextPairs ? { contextPairs } : { context }),
    ...carried,
    ...expectation,
  });
}

/** Where a field starts: the layout table, and the places that section 9 names for faults of a text. */
function offsetOf(field, input) {
  if (field === 'text prefix') return 0;
  if (field === 'text') {
    const outside = input.slice(5).search(/[^A-Za-z0-9_-]/);
    return outside < 0 ? input.length - 1 : 5 + outside;
  }
  const data = typeof input === 'string' ? Buffer.from(input.slice(5), 'base64url') : input.header ?? input;
  const before = { magic: 0, 'format version': 3, suite: 4, 'keyset name length': 5, 'keyset name': 6 };
  const behind = { 'key version': 6, 'wrapped data key': 10, commitment: 50, body: 82 };
  return before[field] ?? behind[field] + data[5];
}

function describePlaintext(plaintext) {
  if (plaintext.length <= 4096) return plaintext.toString('hex');
  if (!plaintext.equals(Buffer.alloc(plaintext.length, PATTERN))) throw new Error('long plaintext must repeat the pattern');
  return { repeat: PATTERN.toString('hex'), length: plaintext.length };
}

// Seven bytes: coprime to the chunk size, so that no two chunks of a long plaintext are alike.
const PATTERN = hex('00112233445566');
const long = (length) => Buffer.alloc(length, PATTERN);

const success = (name, ids, comment, input, plaintext, extra) =>
  add(name, ids, comment, input, { expect: 'success', plaintext: describePlaintext(plaintext) }, extra);
const malformed = (name, ids, field, comment, input, extra) =>
  add(name, ids, comment, input, { expect: 'malformed', field, offset: offsetOf(field, input) }, extra);
const unavailable = (name, ids, reason, comment, input, extra) =>
  add(name, ids, comment, input, { expect: 'key-unavailable', reason }, extra);
const refused = (name, comment, contextPairs, input = whole(one.parts)) =>
  add(name, '12', comment, input, { expect: 'invalid-context' }, { contextPairs });
const fails = (name, ids, comment, input, extra) => add(name, ids, comment, input, { expect: 'decryption-failed' }, extra);

const one = envelope();
const two = envelope({ suite: 2 });

// ---- envelopes that open ------------------------------------------------------------------------------------------------

success('suite1_short_message', '15 17 18 20', 'An ordinary field value.', whole(one.parts), PLAINTEXT);
success('suite2_short_message', '24 26 27', 'An ordinary field value in one chunk.', whole(two.parts), PLAINTEXT);
for (const [name, length] of [['empty_plaintext', 0], ['one_byte_plaintext', 1]]) {
  for (const suite of [1, 2]) {
    const e = envelope({ suite, label: name, plaintext: long(length) });
    success(`suite${suite}_${name}`, suite === 1 ? '8 20' : '8 26', `A plaintext of ${length} bytes.`, whole(e.parts), e.plaintext);
  }
}
{
  const e = envelope({ label: 'largest', plaintext: long(32768) });
  success('suite1_largest_plaintext', '9 20', 'The 32768 bytes that suite 1 holds at most.', whole(e.parts), e.plaintext);
}
for (const [length, chunks] of [[16383, 1], [16384, 2], [16385, 2], [32768, 3]]) {
  const e = envelope({ suite: 2, label: `length ${length}`, plaintext: long(length) });
  success(`suite2_plaintext_of_${length}_bytes`, '26 27 30', `${length} bytes take ${chunks} chunk(s); the last is short or empty.`, whole(e.parts), e.plaintext);
}

const CONTEXTS = {
  empty: [{}, 'No pairs: the encoding is 0000.'],
  of_64_pairs: [Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${i}`, `v${i}`])), 'The most pairs; k10 sorts before k2.'],
  with_empty_value: [{ table: 'orders', note: '' }, 'Values may be empty.'],
  with_non_bmp_keys: [
    { '\uff21': 'BMP, UTF-8 ef bc a1, UTF-16 ff21', '\u{1d400}': 'beyond the BMP, UTF-8 f0 9d 90 80, UTF-16 d835 dc00', a: '1' },
    'UTF-16 order puts U+1D400 before U+FF21; UTF-8 order does the opposite.',
  ],
  of_largest_encoding: [{ a: 'x'.repeat(8192 - 2 - 2 - 1 - 2) }, 'Encodes to 8192 bytes.'],
  with_control_characters: [{ 'a\u0000b': 'line\nbreak "quote" \\ \u007f' }, 'Nothing is escaped or trimmed.'],
};
for (const [name, [context, comment]] of Object.entries(CONTEXTS)) {
  const e = envelope({ label: name, context });
  success(`context_${name}`, '11 12', comment, whole(e.parts), PLAINTEXT, { context });
}
{
  const context = CONTEXTS.with_non_bmp_keys[0];
  const e = envelope({ suite: 2, label: 'non bmp', context });
  success('suite2_context_with_non_bmp_keys', '11 24', 'The same encoding enters the key schedule of suite 2.', whole(e.parts), PLAINTEXT, { context });
  const contextPairs = Object.entries(CONTEXT).reverse();
  success('context_stated_in_another_order', '11', 'The order in which the caller states the pairs does not matter.', whole(one.parts), PLAINTEXT, { contextPairs });
}
for (const [name, keyset] of [['one_character', 'a'], ['sixty_four_characters', 'a'.repeat(63) + '9'], ['every_punctuation', '0a..z_-9-']]) {
  const e = envelope({ label: 'name', name: keyset });
  success(`keyset_name_of_${name}`, '4 5', `The keyset name "${keyset}".`, whole(e.parts), PLAINTEXT, { keyset });
}
success('key_version_largest', '6', 'Key version 2147483647.', whole(envelope({ version: 2147483647 }).parts), PLAINTEXT, { keys: [keyEntry(1), keyEntry(2147483647)] });
success('key_version_pending', '42', 'A version that does not encrypt yet already decrypts.', whole(one.parts), PLAINTEXT, { keys: [keyEntry(1, 'PENDING'), keyEntry(2)] });
success('key_version_beside_destroyed_one', '42', 'The state of other versions does not matter.', whole(one.parts), PLAINTEXT, { keys: [keyEntry(1), keyEntry(2, 'DESTROYED')] });
success('suite1_rewrapped', '36', 'suite1_short_message after a rewrap from version 1 to 2.', whole({ ...one.parts, version: u32(2), wrapped: kwp(KEK[2], one.dek) }), PLAINTEXT);
success('suite2_rewrapped', '36', 'suite2_short_message after a rewrap from version 1 to 2.', whole({ ...two.parts, version: u32(2), wrapped: kwp(KEK[2], two.dek) }), PLAINTEXT);
{
  const other = envelope({ nonce: bytes('another nonce', 12), plaintext: utf8('another message') });
  success('body_of_another_message_with_same_key_and_context', '20',
    'Whoever can write may exchange messages of one data key and one context; the context has to name the record.',
    whole({ ...one.parts, body: other.parts.body }), other.plaintext);
}
for (const [name, length] of [['without_spare_bits', 0], ['with_two_spare_bits', 1], ['with_four_spare_bits', 2]]) {
  // 116 bytes of overhead, so lengths 1, 0 and 2 leave remainders 0, 2 and 1 modulo 3.
  const e = envelope({ label: name, plaintext: long([1, 0, 2][length]) });
  success(`text_${name}`, '31 32 33', 'The text form.', text(whole(e.parts)), e.plaintext);
}
success('text_suite2', '34', 'The text form of a chunked envelope.', text(whole(two.parts)), PLAINTEXT);
success('split_suite1', '35', 'Header and body stored apart.', { header: header(one.parts), body: one.parts.body }, PLAINTEXT);
success('split_suite2', '35', 'Header and body stored apart.', { header: header(two.parts), body: two.parts.body }, PLAINTEXT);

// ---- headers that do not parse --------------------------------------------------------------------------------------------

const FIELDS = [['magic', 0, 3], ['format version', 3, 1], ['suite', 4, 1], ['keyset name length', 5, 1], ['keyset name', 6, 6], ['key version', 12, 4], ['wrapped data key', 16, 40], ['commitment', 56, 32], ['body', 88, 28]];
for (const [field, start, length] of FIELDS) {
  for (const kept of new Set([start, start + Math.floor(length / 2), start + length - 1])) {
    malformed(`truncated_to_${kept}_bytes`, field === 'body' ? '8' : '7', field, `The input ends ${kept === start ? 'before' : 'inside'} the ${field}.`, whole(one.parts).subarray(0, kept));
  }
}
const header1 = (name, ids, field, comment, change, extra) => malformed(`header_${name}`, ids, field, comment, whole({ ...one.parts, ...change }), extra);
header1('magic_first_byte_wrong', '1', 'magic', '52 for 53.', { magic: flip(one.parts.magic, 0) });
header1('magic_second_byte_wrong', '1', 'magic', '56 for 57.', { magic: flip(one.parts.magic, 1) });
header1('magic_third_byte_wrong', '1', 'magic', '59 for 58.', { magic: flip(one.parts.magic, 2) });
header1('magic_in_lower_case', '1', 'magic', 'The magic is bytes, not letters.', { magic: ascii('swx') });
header1('magic_missing', '1', 'magic', 'The input starts with the format version.', { magic: Buffer.alloc(0) });
malformed('header_preceded_by_byte_order_mark', '1', 'magic', 'Nothing may precede the magic.', cat(hex('efbbbf'), whole(one.parts)));
malformed('header_in_text_form_where_bytes_belong', '1', 'magic', 'The text form is not an envelope of bytes.', ascii(text(whole(one.parts))));
for (const v of [0, 2, 255]) header1(`format_version_${v}`, '2', 'format version', 'Only version 1 is known.', { format: u8(v) });
for (const v of [0, 3, 255]) header1(`suite_${v}`, '3', 'suite', 'Only suites 1 and 2 are known.', { suite: u8(v) });
header1('name_length_zero', '4', 'keyset name length', 'A name has at least one character.', { nameLength: u8(0), name: Buffer.alloc(0) });
header1('name_length_65', '4', 'keyset name length', 'A name has at most 64 characters.', { nameLength: u8(65), name: ascii('a'.repeat(65)) });
header1('name_length_255', '4', 'keyset name length', 'The length is checked before the name is read.', { nameLength: u8(255) });
header1('name_length_negative_as_signed_byte', '4', 'keyset name length', 'The length byte 80 is 128, not -128.', { nameLength: u8(128) });
malformed('header_name_length_beyond_the_input', '7', 'keyset name', '64 announced, 6 present.', cat(one.parts.magic, u8(1), u8(1), u8(64), one.parts.name));
header1('name_length_one_too_long', '5', 'keyset name', 'The name swallows the first byte of the key version, 00.', { nameLength: u8(7) });
for (const [name, keyset] of Object.entries({
  in_upper_case: 'ORDERS', starting_with_dot: '.rders', starting_with_hyphen: '-rders', starting_with_underscore: '_rders', with_slash: 'or/ers', with_backslash: 'or\\ers',
  with_space: 'or ers', with_nul: 'or\0ers', with_delete_character: 'or\x7fers', with_newline_at_end: 'order\n', with_colon: 'or:ers', with_high_byte: 'or\xffers', with_utf8_letter: 'ord\xc3\xa9s',
})) {
  header1(`name_${name}`, '5', 'keyset name', 'Outside a-z 0-9 . _ - or a bad first character.', { name: ascii(keyset) });
}
for (const [name, v] of [['zero', 0], ['2147483648', 0x80000000], ['4294967295', 0xffffffff]]) {
  header1(`key_version_${name}`, '6', 'key version', 'Versions run from 1 to 2147483647.', { version: u32(v) });
}
malformed('suite1_body_missing', '8', 'body', 'A header alone.', header(one.parts));
malformed('suite1_body_of_27_bytes', '8', 'body', 'A nonce and a tag take 28.', whole({ ...one.parts, body: one.parts.body.subarray(0, 27) }));
{
  const e = envelope({ label: 'too long', plaintext: long(32769) });
  malformed('suite1_body_one_byte_too_long', '9', 'body', 'Authentic, and still refused: 32769 bytes of plaintext.', whole(e.parts));
}
for (const [kept, why] of [[0, 'A header alone.'], [23, 'The input ends inside the salt.'], [24, 'The input ends after the salt.'], [56, 'No chunk at all.'], [71, 'The only chunk is shorter than its tag.']]) {
  malformed(`suite2_body_of_${kept}_bytes`, '8', 'body', why, whole({ ...two.parts, body: two.parts.body.subarray(0, kept) }));
}
malformed('suite_changed_from_1_to_2_with_short_body', '8', 'body', '60 bytes of body are too few for suite 2.', whole({ ...one.parts, suite: u8(2) }));
malformed('format_version_is_checked_before_the_keyset', '39', 'format version', 'Two faults; parsing comes first.', whole({ ...one.parts, format: u8(2), name: ascii('others') }));
malformed('body_length_is_checked_before_the_keyset', '39', 'body', 'Two faults; parsing comes first.', whole({ ...one.parts, name: ascii('others'), body: Buffer.alloc(27) }));
malformed('body_length_is_checked_before_the_state', '39', 'body', 'Two faults; parsing comes first.', whole({ ...one.parts, body: Buffer.alloc(27) }), { keys: [keyEntry(1, 'DISABLED'), keyEntry(2)] });

// ---- keys that may not be used ---------------------------------------------------------------------------------------------

for (const [name, keyset] of [['of_same_length', 'others'], ['that_is_a_prefix', 'order'], ['that_is_longer', 'orders2']]) {
  unavailable(`keyset_${name}`, '40', 'OTHER_KEYSET', `The envelope names "${keyset}", the reader holds "orders".`, whole(envelope({ name: keyset }).parts));
}
unavailable('keyset_is_checked_before_authenticity', '40', 'OTHER_KEYSET', 'A body of zeros changes nothing.', whole({ ...envelope({ name: 'others' }).parts, body: Buffer.alloc(40) }));
unavailable('keyset_is_checked_before_the_version', '40', 'OTHER_KEYSET', 'Neither the keyset nor the version is known.', whole({ ...envelope({ name: 'others' }).parts, version: u32(9) }));
unavailable('header_name_length_one_too_short', '40', 'OTHER_KEYSET', 'The name becomes "order"; its last letter moves into the key version.', whole({ ...one.parts, nameLength: u8(5) }));
unavailable('keyset_of_text_form', '34 40', 'OTHER_KEYSET', 'The text form is held to the same checks.', text(whole(envelope({ name: 'others' }).parts)));
unavailable('keyset_of_split_header', '35 40', 'OTHER_KEYSET', 'The split form is held to the same checks.', { header: header(envelope({ name: 'others' }).parts), body: one.parts.body });
for (const [name, version] of [['next', 3], ['in_little_endian', 0x01000000], ['largest', 2147483647]]) {
  unavailable(`version_unknown_${name}`, '41', 'UNKNOWN_VERSION', `Version ${version} of a keyset with versions 1 and 2.`, whole({ ...one.parts, version: u32(version) }));
}
unavailable('version_unknown_in_keyset_without_it', '41', 'UNKNOWN_VERSION', 'The keyset has version 1 only, which wrapped the key; it is not tried instead.', whole({ ...one.parts, version: u32(2) }), { keys: [keyEntry(1)] });
for (const state of ['DISABLED', 'COMPROMISED', 'DESTRUCTION_SCHEDULED', 'DESTROYED']) {
  const keys = [keyEntry(1, state), keyEntry(2)];
  unavailable(`suite1_version_${state.toLowerCase()}`, '42', state, 'This state does not decrypt.', whole(one.parts), { keys });
  unavailable(`suite2_version_${state.toLowerCase()}`, '42', state, 'This state does not decrypt.', whole(two.parts), { keys });
}
unavailable('state_is_checked_before_authenticity', '42', 'DISABLED', 'A body of zeros changes nothing.', whole({ ...one.parts, body: Buffer.alloc(40) }), { keys: [keyEntry(1, 'DISABLED'), keyEntry(2)] });
unavailable('state_is_checked_before_the_wrapped_key', '42', 'DISABLED', 'A wrapped key of zeros changes nothing.', whole({ ...one.parts, wrapped: Buffer.alloc(40) }), { keys: [keyEntry(1, 'DISABLED'), keyEntry(2)] });
unavailable('rewrapped_to_a_disabled_version', '36 42', 'DISABLED', 'The version in the header decides, not the one that sealed.', whole({ ...one.parts, version: u32(2), wrapped: kwp(KEK[2], one.dek) }), { keys: [keyEntry(1), keyEntry(2, 'DISABLED')] });

const EXPIRY = '2030-01-02T00:00:00Z';
const LATER = '2030-01-03T00:00:00Z';
const BEFORE = { now: '2030-01-01T23:59:59.999Z' };
const AT = { now: EXPIRY };
const expiring = (state = 'ENABLED', at = EXPIRY) => ({ keys: [keyEntry(1, state, KEK[1], at), keyEntry(2)] });
for (const [suite, e] of [[1, one], [2, two]]) {
  const input = whole(e.parts);
  success(`suite${suite}_version_about_to_expire`, '42', 'A millisecond before the date.', input, PLAINTEXT, { ...expiring(), ...BEFORE });
  success(`suite${suite}_keyset_about_to_expire`, '42', 'A millisecond before the date.', input, PLAINTEXT, { expiresAt: EXPIRY, ...BEFORE });
  unavailable(`suite${suite}_version_expired`, '42', 'EXPIRED', 'From the date on, not only after it.', input, { ...expiring(), ...AT });
  unavailable(`suite${suite}_keyset_expired`, '42', 'EXPIRED', 'A keyset expires with all its versions.', input, { expiresAt: EXPIRY, ...AT });
  unavailable(`suite${suite}_version_expired_and_disabled`, '42', 'DISABLED', 'The state is checked before the date.', input, { ...expiring('DISABLED'), ...AT });
}
success('expiry_of_another_version', '42', 'Only the date of the version in the header counts.', whole(one.parts), PLAINTEXT, { keys: [keyEntry(1), keyEntry(2, 'ENABLED', KEK[2], EXPIRY)], ...AT });
unavailable('expiry_of_pending_version', '42', 'EXPIRED', 'A date ends a version whatever its state.', whole(one.parts), { ...expiring('PENDING'), ...AT });
unavailable('expiry_of_keyset_before_that_of_version', '42', 'EXPIRED', 'The first of the two dates counts.', whole(one.parts), { expiresAt: EXPIRY, ...expiring('ENABLED', LATER), ...AT });
unavailable('expiry_of_version_before_that_of_keyset', '42', 'EXPIRED', 'The first of the two dates counts.', whole(one.parts), { expiresAt: LATER, ...expiring(), ...AT });
unavailable('expiry_of_compromised_version', '42', 'COMPROMISED', 'The state is checked before the date.', whole(one.parts), { ...expiring('COMPROMISED'), ...AT });
unavailable('expiry_of_destroyed_version', '42', 'DESTROYED', 'The state is checked before the date.', whole(one.parts), { expiresAt: EXPIRY, keys: [keyEntry(1, 'DESTROYED'), keyEntry(2)], ...AT });
unavailable('expiry_after_rewrap', '36 42', 'EXPIRED', 'The version in the header decides, not the one that sealed.', whole({ ...one.parts, version: u32(2), wrapped: kwp(KEK[2], one.dek) }), { keys: [keyEntry(1), keyEntry(2, 'ENABLED', KEK[2], EXPIRY)], ...AT });
unavailable('expiry_is_checked_before_authenticity', '42', 'EXPIRED', 'A body of zeros changes nothing.', whole({ ...one.parts, body: Buffer.alloc(40) }), { ...expiring(), ...AT });
unavailable('expiry_is_checked_before_the_wrapped_key', '42', 'EXPIRED', 'A wrapped key of zeros changes nothing.', whole({ ...one.parts, wrapped: Buffer.alloc(40) }), { ...expiring(), ...AT });
unavailable('keyset_is_checked_before_the_expiry', '40 42', 'OTHER_KEYSET', 'The keyset of the reader has expired; the envelope is of another.', whole(envelope({ name: 'others' }).parts), { expiresAt: EXPIRY, ...AT });
unavailable('version_is_checked_before_the_expiry', '41 42', 'UNKNOWN_VERSION', 'The keyset has expired, and has no version 3.', whole({ ...one.parts, version: u32(3) }), { expiresAt: EXPIRY, ...AT });
malformed('body_length_is_checked_before_the_expiry', '39 42', 'body', 'Two faults; parsing comes first.', whole({ ...one.parts, body: Buffer.alloc(27) }), { ...expiring(), ...AT });

// ---- wrapped keys and commitments --------------------------------------------------------------------------------------------

const fails1 = (name, ids, comment, change, extra) => fails(name, ids, comment, whole({ ...one.parts, ...change }), extra);
const fails2 = (name, ids, comment, change, extra) => fails(name, ids, comment, whole({ ...two.parts, ...change }), extra);
const otherKek = { keys: [keyEntry(1, 'ENABLED', bytes('another kek', 32)), keyEntry(2)] };
fails1('suite1_kek_wrong', '16 43', 'The reader holds another KEK for this version.', {}, otherKek);
fails2('suite2_kek_wrong', '16 43', 'The reader holds another KEK for this version.', {}, otherKek);
fails1('wrapped_key_first_bit_flipped', '16', 'One bit.', { wrapped: flip(one.parts.wrapped, 0, 0x80) });
fails1('wrapped_key_middle_bit_flipped', '16', 'One bit.', { wrapped: flip(one.parts.wrapped, 20) });
fails1('wrapped_key_last_bit_flipped', '16', 'One bit.', { wrapped: flip(one.parts.wrapped, -1) });
fails2('suite2_wrapped_key_bit_flipped', '16', 'One bit.', { wrapped: flip(two.parts.wrapped, 8) });
fails1('wrapped_key_of_zeros', '16', 'Forty zero bytes.', { wrapped: Buffer.alloc(40) });
fails1('wrapped_key_halves_exchanged', '16', 'The semiblocks in another order.', { wrapped: cat(one.parts.wrapped.subarray(20), one.parts.wrapped.subarray(0, 20)) });
fails1('wrapped_key_is_the_plain_data_key', '16', 'A data key that nobody wrapped.', { wrapped: cat(one.dek, Buffer.alloc(8)) });
fails1('wrapped_key_under_the_other_version', '15 16', 'Wrapped by version 2; the header says version 1.', { wrapped: kwp(KEK[2], one.dek) });
fails1('key_version_changed_without_rewrap', '15 16', 'Wrapped by version 1; the header says version 2.', { version: u32(2) });
fails1('wrapped_key_of_another_message', '19', 'A genuine data key of the same version, with another commitment.', { wrapped: envelope({ label: 'another' }).parts.wrapped });
fails1('wrapped_key_of_the_other_suite', '14 19', 'The data key of a suite 2 message.', { wrapped: two.parts.wrapped });
fails2('suite2_wrapped_key_of_suite_1', '14 19', 'The data key of a suite 1 message.', { wrapped: one.parts.wrapped });
fails1('wrapped_key_of_another_keyset', '14 19', 'The data key of keyset "others", whose KEK happens to be the same.', { wrapped: envelope({ name: 'others' }).parts.wrapped });
fails1('wrapped_key_by_rfc3394', '16', 'KW instead of KWP: the initial value is A6A6A6A6A6A6A6A6.', { wrapped: wrapRaw(KEK[1], hex('a6a6a6a6a6a6a6a6'), one.dek) });
fails1('wrapped_key_with_another_constant', '16', 'The right key and length behind A65959A7.', { wrapped: wrapRaw(KEK[1], hex('a65959a700000020'), one.dek) });
fails1('wrapped_key_with_length_31', '16', 'A 31-byte key and one byte of padding also take 40 bytes.', { wrapped: wrapRaw(KEK[1], hex('a65959a60000001f'), cat(one.dek.subarray(0, 31), u8(0))) });
fails1('wrapped_key_with_length_31_and_padding_not_zero', '16', 'The padding must be zero, and 31 bytes are no data key.', { wrapped: wrapRaw(KEK[1], hex('a65959a60000001f'), one.dek) });
fails1('wrapped_key_with_length_33', '16', 'A length beyond the data.', { wrapped: wrapRaw(KEK[1], hex('a65959a600000021'), one.dek) });
fails1('wrapped_key_with_length_zero', '16', 'A length of zero.', { wrapped: wrapRaw(KEK[1], hex('a65959a600000000'), one.dek) });
fails1('wrapped_key_with_huge_length', '16', 'A length with the high bit set.', { wrapped: wrapRaw(KEK[1], hex('a65959a680000020'), one.dek) });
fails1('commitment_first_bit_flipped', '19', 'One bit.', { commitment: flip(one.parts.commitment, 0, 0x80) });
fails1('commitment_last_bit_flipped', '19', 'One bit.', { commitment: flip(one.parts.commitment, -1) });
fails2('suite2_commitment_in_header_flipped', '19', 'One bit.', { commitment: flip(two.parts.commitment, 16) });
fails1('commitment_of_zeros', '19', 'Thirty-two zero bytes.', { commitment: Buffer.alloc(32) });
fails1('commitment_of_another_message', '19', 'The commitment of another data key.', { commitment: envelope({ label: 'another' }).parts.commitment });
fails1('commitment_of_this_key_for_suite_2', '18', 'Right key, wrong suite in the derivation.', { commitment: commitment(one.dek, 2) });
fails1('commitment_of_this_key_for_another_keyset', '18', 'Right key, wrong keyset name in the derivation.', { commitment: commitment(one.dek, 1, 'others') });
fails1('commitment_without_the_name_length', '18', 'The derivation must include the length of the name.', { commitment: expand('sha256', one.dek, cat(ascii('sealwax/envelope/v1/commitment\0'), u8(1), ascii(NAME)), 32) });
fails1('commitment_by_sha512', '18', 'The derivation must use SHA-256.', { commitment: expand('sha512', one.dek, info('commitment', 1, NAME), 32) });
{
  const parts = envelope({ label: 'renamed' }).parts;
  const renamed = { ...parts, name: ascii('others') };
  fails('keyset_renamed', '18 19', 'Two keysets share a KEK; a renamed header still does not open.', whole(renamed), { keyset: 'others' });
  const dek = envelope({ label: 'renamed' }).dek;
  fails('keyset_renamed_and_commitment_recomputed', '17 20', 'The message key depends on the name too.', whole({ ...renamed, commitment: commitment(dek, 1, 'others') }), { keyset: 'others' });
}
const mid1 = envelope({ label: 'medium', plaintext: long(100) });
fails('suite_changed_from_1_to_2', '18 19', 'The commitment depends on the suite.', whole({ ...mid1.parts, suite: u8(2) }));
fails('suite_changed_from_1_to_2_and_commitment_recomputed', '17 25', 'The body is no chunked message.', whole({ ...mid1.parts, suite: u8(2), commitment: commitment(mid1.dek, 2) }));
fails('suite_changed_from_2_to_1', '18 19', 'The commitment depends on the suite.', whole({ ...two.parts, suite: u8(1) }));
fails('suite_changed_from_2_to_1_and_commitment_recomputed', '17 20', 'The body is no one-shot message.', whole({ ...two.parts, suite: u8(1), commitment: commitment(two.dek, 1) }));

// ---- contexts -----------------------------------------------------------------------------------------------------------------

const WRONG_CONTEXTS = {
  empty: {}, pair_missing: { table: 'orders' }, pair_added: { ...CONTEXT, tenant: '7' }, empty_pair_added: { ...CONTEXT, x: '' }, value_changed: { ...CONTEXT, row: '43' },
  value_in_other_case: { ...CONTEXT, table: 'Orders' }, key_in_other_case: { Table: 'orders', row: '42' }, key_changed: { table: 'orders', rows: '42' },
  key_and_value_exchanged: { orders: 'table', 42: 'row' }, values_exchanged: { table: '42', row: 'orders' }, space_added: { ...CONTEXT, row: '42 ' }, boundary_moved: { table: 'orders', row4: '2' },
};
for (const [name, context] of Object.entries(WRONG_CONTEXTS)) {
  fails(`context_wrong_${name}`, '11 20 43', 'Not the context of the message.', whole(one.parts), { context });
  if (/empty$|pair_|value_changed/.test(name)) {
    fails(`suite2_context_wrong_${name}`, '11 25 43', 'Not the context of the message.', whole(two.parts), { context });
  }
}
fails('context_added_where_none_was', '11 20', 'The message has an empty context.', whole(envelope({ label: 'empty', context: {} }).parts));
fails('context_composed_where_decomposed_was', '13', 'U+00E9 is not U+0065 U+0301: nothing is normalised.', whole(envelope({ label: 'nfd', context: { name: 'Ame\u0301lie' } }).parts), { context: { name: 'Am\u00e9lie' } });
const order8 = (a, b) => Buffer.compare(utf8(a), utf8(b));
const crafted = (name, comment, aad, context = CONTEXT) => fails(`context_${name}`, '11', comment, whole(envelope({ label: name, aad }).parts), { context });
crafted('encoded_in_utf8_order', 'Sealed by a writer that sorts by UTF-8 bytes.', canonical(Object.entries(CONTEXTS.with_non_bmp_keys[0]), order8), CONTEXTS.with_non_bmp_keys[0]);
crafted('encoded_without_sorting', 'Sealed by a writer that keeps the order of the caller.', canonical(Object.entries(CONTEXT), () => 0));
crafted('encoded_without_count', 'Sealed by a writer that leaves out the number of pairs.', canonicalOf(CONTEXT).subarray(2));
crafted('not_authenticated', 'Sealed by a writer without associated data.', Buffer.alloc(0));
crafted('not_authenticated_where_none_is_given', 'The empty context encodes to 0000, not to nothing.', Buffer.alloc(0), {});

// Beside context_of_64_pairs, context_of_largest_encoding and context_with_empty_value, which are still fine.
refused('context_refused_key_empty', 'A key has at least one character.', [['table', 'orders'], ['', '42']]);
refused('context_refused_key_repeated', 'A key stands once, also with the same value.', [['row', '42'], ['table', 'orders'], ['row', '42']]);
refused('context_refused_key_repeated_with_another_value', 'The second pair does not replace the first.', [['row', '43'], ['table', 'orders'], ['row', '42']]);
refused('context_refused_high_surrogate_alone', 'U+D800 has no UTF-8.', [['table', 'orders'], ['row', '42\ud800']]);
refused('context_refused_low_surrogate_alone', 'U+DC00 has no UTF-8.', [['table', 'orders'], ['row', '\udc0042']]);
refused('context_refused_surrogate_alone_in_key', 'Keys are held to the same rule as values.', [['table', 'orders'], ['row\ud800', '42']]);
refused('context_refused_surrogates_exchanged', 'A low surrogate before a high one is no pair.', [['table', 'orders'], ['row', '\udc00\ud800']]);
refused('context_refused_65_pairs', 'One pair more than fits.', Array.from({ length: 65 }, (_, i) => [`k${i}`, `v${i}`]));
refused('context_refused_8193_bytes', 'One byte more than fits.', [['a', 'x'.repeat(8192 - 2 - 2 - 1 - 2 + 1)]]);
refused('context_refused_8193_bytes_of_fewer_characters', 'Bytes of the encoding count, not characters.', [['ab', '\u00e9'.repeat((8192 - 2 - 2 - 2 - 2) / 2) + 'x']]);
refused('context_refused_value_of_65536_bytes', 'A value whose length, cut to two bytes, would be 0.', [['a', 'x'.repeat(65536)]]);
refused('suite2_context_refused_key_empty', 'The same for a chunked envelope.', [['', '42']], whole(two.parts));
refused('context_is_checked_before_the_envelope', 'The envelope is malformed too; the error of the caller comes first.', [['', '42']], Buffer.alloc(0));

// ---- suite 1 bodies --------------------------------------------------------------------------------------------------------------

const body = one.parts.body;
fails1('suite1_nonce_first_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, 0, 0x80) });
fails1('suite1_nonce_last_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, 11) });
fails1('suite1_ciphertext_first_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, 12, 0x80) });
fails1('suite1_ciphertext_last_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, -17) });
fails1('suite1_tag_first_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, -16, 0x80) });
fails1('suite1_tag_last_bit_flipped', '20 22 43', 'One bit.', { body: flip(body, -1) });
fails1('suite1_tag_of_zeros', '20', 'Sixteen zero bytes.', { body: cat(cut(body, 16), Buffer.alloc(16)) });
fails1('suite1_body_of_28_zeros', '8 20', 'The shortest body that parses.', { body: Buffer.alloc(28) });
fails1('suite1_trailing_byte', '10', 'A byte after the tag belongs to the body.', { body: cat(body, u8(0)) });
fails1('suite1_trailing_newline', '10', 'So does the newline of a text editor.', { body: cat(body, ascii('\n')) });
fails1('suite1_last_byte_missing', '20', 'Truncation looks like any other tampering.', { body: cut(body) });
fails1('suite1_truncated_to_shortest_body', '20', 'Truncation looks like any other tampering.', { body: body.subarray(0, 28) });
fails1('suite1_first_body_byte_missing', '20', 'The nonce moves by one byte.', { body: body.subarray(1) });
fails1('suite1_tag_of_12_bytes', '20', 'A shortened tag is not accepted.', { body: cut(body, 4) });
fails('suite1_two_envelopes_concatenated', '10', 'One input holds one envelope.', cat(whole(one.parts), whole(one.parts)));
fails1('suite1_tag_of_another_message', '20', 'Same data key, nonce of this message, tag of another.', { body: cat(cut(body, 16), envelope({ nonce: bytes('another nonce', 12) }).parts.body.subarray(-16)) });
fails1('suite1_body_of_another_data_key', '20', 'A genuine body of another message.', { body: envelope({ label: 'another' }).parts.body });
fails1('suite1_body_of_another_context', '20', 'Same data key, genuine body, other context.', { body: envelope({ context: { row: '43' } }).parts.body });
fails1('suite1_sealed_by_the_data_key_itself', '17', 'The message key must be derived.', { body: body1(one.dek, one.aad, PLAINTEXT, bytes('nonce base', 12)) });
fails1('suite1_sealed_by_the_message_key_of_suite_2', '17', 'The message key depends on the suite.', { body: body1(messageKey(one.dek, 2), one.aad, PLAINTEXT, bytes('nonce base', 12)) });
fails1('suite1_nonce_at_the_end', '20', 'Ciphertext, tag, nonce.', { body: cat(body.subarray(12), body.subarray(0, 12)) });

// ---- suite 2 bodies --------------------------------------------------------------------------------------------------------------

const small = () => pieces2(two.key, two.aad, PLAINTEXT, bytes('salt base', 24));
const big = envelope({ suite: 2, label: 'big', plaintext: long(CHUNK + 100) });
const bigPieces = () => pieces2(big.key, big.aad, big.plaintext, bytes('salt big', 24));
const bigger = pieces2(big.key, big.aad, long(2 * CHUNK + 100), bytes('salt bigger', 24));
const onSmall = (name, ids, comment, change) => fails(`suite2_${name}`, ids, comment, whole({ ...two.parts, body: join2({ ...small(), ...change(small()) }) }));
const onBig = (name, ids, comment, change) => fails(`suite2_${name}`, ids, comment, whole({ ...big.parts, body: join2({ ...bigPieces(), ...change(bigPieces()) }) }));
onSmall('salt_first_bit_flipped', '24 25 43', 'One bit.', (p) => ({ salt: flip(p.salt, 0, 0x80) }));
onSmall('salt_last_bit_flipped', '24 25 43', 'One bit.', (p) => ({ salt: flip(p.salt, -1) }));
onSmall('commitment_first_bit_flipped', '25 43', 'One bit of the commitment in the body.', (p) => ({ commitment: flip(p.commitment, 0, 0x80) }));
onSmall('commitment_last_bit_flipped', '25 43', 'One bit of the commitment in the body.', (p) => ({ commitment: flip(p.commitment, -1) }));
onSmall('commitment_of_zeros', '25', 'The chunks are genuine; the commitment is checked all the same.', () => ({ commitment: Buffer.alloc(32) }));
onSmall('commitment_of_header_in_the_body', '25', 'The two commitments are different values.', () => ({ commitment: two.parts.commitment }));
onSmall('salt_and_commitment_of_another_message', '24 25', 'A genuine pair, but not of these chunks.', () => {
  const { salt, commitment } = pieces2(two.key, two.aad, PLAINTEXT, bytes('another salt', 24));
  return { salt, commitment };
});
onSmall('ciphertext_bit_flipped', '27 29 43', 'One bit.', (p) => ({ chunks: [flip(p.chunks[0], 0)] }));
onSmall('tag_bit_flipped', '27 29 43', 'One bit.', (p) => ({ chunks: [flip(p.chunks[0], -1)] }));
onSmall('trailing_byte', '10 26', 'A byte after the last tag.', (p) => ({ chunks: [cat(p.chunks[0], u8(0))] }));
onSmall('last_byte_missing', '26', 'Truncation looks like any other tampering.', (p) => ({ chunks: [cut(p.chunks[0])] }));
onSmall('truncated_to_shortest_body', '26', 'Truncation looks like any other tampering.', (p) => ({ chunks: [p.chunks[0].subarray(0, 16)] }));
onSmall('empty_chunk_after_the_final_one', '26', 'A genuine second chunk where the first already ended the message.', (p) => ({ chunks: [p.chunks[0], sealChunk(p.s, 1, Buffer.alloc(0))] }));
onSmall('short_chunk_in_the_middle', '26', 'Chunks of 100, 100 and 0 bytes.', (p) => ({ chunks: [100, 100, 0].map((n, i) => sealChunk(p.s, i, long(n))) }));
onSmall('counter_starting_at_one', '27', 'The first chunk is number 0.', (p) => ({ chunks: [sealChunk(p.s, 1, PLAINTEXT)] }));
onSmall('chunk_with_context_as_associated_data', '27', 'Chunks have no associated data.', (p) => ({ chunks: [sealChunk(p.s, 0, PLAINTEXT, two.aad)] }));
onSmall('two_messages_concatenated', '10 26', 'One body holds one message.', (p) => ({ chunks: [p.chunks[0], p.salt, p.commitment, p.chunks[0]] }));
const schedules = {
  sha256_in_key_schedule: [schedule2(two.key, two.aad, bytes('salt base', 24), 'sha256'), 'The key schedule uses SHA-512.'],
  aes_128_in_key_schedule: [schedule2(two.key, two.aad, bytes('salt base', 24), 'sha512', 'AEAD_AES_128_GCM'), 'The key schedule names AEAD_AES_256_GCM.'],
  context_left_out_of_key_schedule: [schedule2(two.key, Buffer.alloc(0), bytes('salt base', 24)), 'The key schedule takes in the context.'],
  data_key_as_input_key: [schedule2(two.dek, two.aad, bytes('salt base', 24)), 'The input key is the message key.'],
  message_key_of_suite_1_as_input_key: [schedule2(messageKey(two.dek, 1), two.aad, bytes('salt base', 24)), 'The message key depends on the suite.'],
};
for (const [name, [s, comment]] of Object.entries(schedules)) {
  onSmall(name, '17 24', comment, () => pieces2(two.key, two.aad, PLAINTEXT, bytes('salt base', 24), s));
}
fails('suite2_body_of_72_zeros', '8 25', 'The shortest body that parses.', whole({ ...two.parts, body: Buffer.alloc(72) }));
fails('suite2_two_envelopes_concatenated', '10', 'One input holds one envelope.', cat(whole(two.parts), whole(two.parts)));
onBig('first_chunk_bit_flipped', '27 29', 'One bit.', (p) => ({ chunks: [flip(p.chunks[0], 5000), p.chunks[1]] }));
onBig('final_chunk_bit_flipped', '27 29 30', 'One bit; the first chunk may be released, the end may not be reported.', (p) => ({ chunks: [p.chunks[0], flip(p.chunks[1], 0)] }));
onBig('first_chunk_dropped', '26 27', 'The final chunk moves to number 0.', (p) => ({ chunks: [p.chunks[1]] }));
onBig('final_chunk_dropped', '26 28 29 30', 'Truncated at a chunk boundary: a full chunk cannot be the last.', (p) => ({ chunks: [p.chunks[0]] }));
onBig('final_chunk_cut_to_one_byte', '28 29 30', 'No chunk has one byte.', (p) => ({ chunks: [p.chunks[0], p.chunks[1].subarray(0, 1)] }));
onBig('final_chunk_cut_to_15_bytes', '28 29 30', 'No chunk is shorter than its tag.', (p) => ({ chunks: [p.chunks[0], p.chunks[1].subarray(0, 15)] }));
onBig('final_chunk_cut_to_16_bytes', '26 29 30', 'The length of an empty final chunk, but not one.', (p) => ({ chunks: [p.chunks[0], p.chunks[1].subarray(0, 16)] }));
onBig('final_chunk_of_another_message', '24 27 29 30', 'A genuine final chunk number 1 of another message of the same data key.', (p) => ({
  chunks: [p.chunks[0], pieces2(big.key, big.aad, big.plaintext, bytes('another salt', 24)).chunks[1]],
}));
onBig('final_chunk_of_a_shorter_message', '27 29 30', 'A genuine final chunk with the number 0.', (p) => ({ chunks: [p.chunks[0], sealChunk(p.s, 0, long(100))] }));
onBig('counter_in_little_endian', '27', 'The number of the second chunk enters the nonce at the wrong end.', (p) => {
  const base = Buffer.from(p.s.base);
  base[8] ^= 1;
  return { chunks: [p.chunks[0], gcm(p.s.key, base, Buffer.alloc(0), long(100))] };
});
onBig('chunk_of_16385_bytes', '26', 'One chunk, one byte too long.', (p) => ({ chunks: [sealChunk(p.s, 0, long(16385))] }));
onBig('full_final_chunk', '26 28 30', 'A message of 16384 bytes without its empty final chunk.', (p) => ({ chunks: [sealChunk(p.s, 0, long(CHUNK))] }));
const onBigger = (name, ids, comment, chunks) => fails(`suite2_${name}`, ids, comment, whole({ ...big.parts, body: join2({ ...bigger, chunks }) }));
onBigger('middle_chunk_dropped', '26 27 29 30', 'Three chunks without the second.', [bigger.chunks[0], bigger.chunks[2]]);
onBigger('chunks_reordered', '27 29', 'The first two of three exchanged.', [bigger.chunks[1], bigger.chunks[0], bigger.chunks[2]]);
onBigger('chunk_duplicated', '27 29', 'The first of two chunks twice.', [bigPieces().chunks[0], bigPieces().chunks[0], bigPieces().chunks[1]]);

// ---- invisible salamanders ---------------------------------------------------------------------------------------------------------

{
  const nonce = bytes('salamander nonce', 12);
  const deks = { a: bytes('salamander a', 32), b: bytes('salamander b', 32) };
  const aad = canonicalOf(CONTEXT);
  const keyA = messageKey(deks.a, 1);
  const keyB = messageKey(deks.b, 1);
  const twoKey = (ciphertext, ad = aad) => cat(nonce, salamander({ key: keyA, nonce }, { key: keyB, nonce }, ad, ciphertext));
  const body = twoKey(bytes('salamander', 48));
  const under = (wrappedOf, committedTo, b = body, version = 1) =>
    whole({ ...one.parts, version: u32(version), wrapped: kwp(KEK[version], deks[wrappedOf]), commitment: commitment(deks[committedTo], 1), body: b });
  success('salamander_under_key_a_with_its_commitment', '18 20', 'The first honest reading of a body that opens under two keys.', under('a', 'a'), decryptGcmUnchecked(keyA, nonce, body.subarray(12, -16)));
  success('salamander_under_key_b_with_its_commitment', '18 20', 'The second reading of the same body; the header had to change for it.', under('b', 'b'), decryptGcmUnchecked(keyB, nonce, body.subarray(12, -16)));
  fails('salamander_wrapped_key_b_commitment_a', '19 43', 'The tag is right under the unwrapped key; only the commitment refuses.', under('b', 'a'));
  fails('salamander_wrapped_key_a_commitment_b', '19 43', 'The tag is right under the unwrapped key; only the commitment refuses.', under('a', 'b'));
  fails('salamander_of_one_block', '19 43', 'The shortest two-key body.', under('b', 'a', twoKey(Buffer.alloc(0))));
  fails('salamander_of_uneven_context', '19 43', 'Another context, still right under both keys.', under('b', 'a', twoKey(bytes('salamander', 32), canonicalOf({ id: '1' }))), { context: { id: '1' } });
  fails('salamander_long', '19 43', 'A two-key body of two kilobytes.', under('b', 'a', twoKey(bytes('long salamander', 2032))));
  fails('salamander_rewrapped_to_key_b', '19 37 43', 'A header rewrapped by somebody who did not check the commitment.', under('b', 'a', body, 2));
  const salt = bytes('salamander salt', 24);
  const s = { a: schedule2(messageKey(deks.a, 2), aad, salt), b: schedule2(messageKey(deks.b, 2), aad, salt) };
  const chunk = salamander({ key: s.a.key, nonce: s.a.base }, { key: s.b.key, nonce: s.b.base }, Buffer.alloc(0), bytes('salamander', 64));
  const under2 = (wrappedOf, committedTo, inBody) =>
    whole({ ...two.parts, wrapped: kwp(KEK[1], deks[wrappedOf]), commitment: commitment(deks[committedTo], 2), body: cat(salt, s[inBody].commitment, chunk) });
  success('suite2_salamander_under_key_a_with_its_commitments', '18 25', 'An honest reading of a chunk that opens under two keys.', under2('a', 'a', 'a'), decryptGcmUnchecked(s.a.key, s.a.base, chunk.subarray(0, -16)));
  fails('suite2_salamander_wrapped_key_b_commitments_a', '19 43', 'The commitment in the header refuses.', under2('b', 'a', 'a'));
  fails('suite2_salamander_wrapped_key_b_commitment_a_in_body', '25 43', 'The commitment in the body refuses.', under2('b', 'b', 'a'));
  fails('suite2_salamander_wrapped_key_b_commitment_a_in_header', '19 43', 'The commitment in the header refuses.', under2('b', 'a', 'b'));
}

// ---- text form -----------------------------------------------------------------------------------------------------------------------

{
  const t = text(whole(one.parts));
  const coded = t.slice(5);
  malformed('text_empty', '31', 'text prefix', 'No characters.', '');
  malformed('text_without_prefix', '31', 'text prefix', 'Only the base64url part.', coded);
  malformed('text_prefix_in_upper_case', '31', 'text prefix', 'SWX1.', `SWX1.${coded}`);
  malformed('text_prefix_of_version_2', '31', 'text prefix', 'swx2.', `swx2.${coded}`);
  malformed('text_prefix_without_version', '31', 'text prefix', 'swx.', `swx.${coded}`);
  malformed('text_prefix_without_dot', '31', 'text prefix', 'swx1 and no dot.', `swx1${coded}`);
  malformed('text_prefix_cut', '31', 'text prefix', 'swx1 alone.', 'swx1');
  malformed('text_prefix_with_colon', '31', 'text prefix', 'swx1: for swx1.', `swx1:${coded}`);
  malformed('text_after_a_space', '31', 'text prefix', 'A space before the prefix.', ` ${t}`);
  malformed('text_after_a_byte_order_mark', '31', 'text prefix', 'U+FEFF before the prefix.', `\ufeff${t}`);
  malformed('text_prefix_twice', '32', 'text', 'The dot is outside the alphabet.', `swx1.${t}`);
  malformed('text_followed_by_newline', '32', 'text', 'A trailing newline.', `${t}\n`);
  malformed('text_followed_by_space', '32', 'text', 'A trailing space.', `${t} `);
  malformed('text_followed_by_nul', '32', 'text', 'A trailing NUL.', `${t}\0`);
  malformed('text_with_newline_inside', '32', 'text', 'Folded as MIME would fold it.', `${t.slice(0, 81)}\r\n${t.slice(81)}`);
  malformed('text_with_space_inside', '32', 'text', 'A plus sign that a form decoder turned into a space.', `${t.slice(0, 40)} ${t.slice(41)}`);
  const odd = text(whole(envelope({ label: 'odd', plaintext: long(2) }).parts));
  const even = text(whole(envelope({ label: 'even', plaintext: long(0) }).parts));
  malformed('text_with_two_padding_characters', '32', 'text', 'Padding is not used.', `${odd}==`);
  malformed('text_with_one_padding_character', '32', 'text', 'Padding is not used.', `${even}=`);
  malformed('text_with_padding_alone', '32', 'text', 'Padding is not used.', 'swx1.=');
  const replaced = (c) => `${t.slice(0, 60)}${c}${t.slice(61)}`;
  malformed('text_with_plus', '32', 'text', 'The alphabet of base64, not of base64url.', replaced('+'));
  malformed('text_with_slash', '32', 'text', 'The alphabet of base64, not of base64url.', replaced('/'));
  malformed('text_with_full_width_letter', '32', 'text', 'U+FF21 is no A.', replaced('\uff21'));
  malformed('text_with_letter_256_above_a', '32', 'text', 'U+0141 has the low byte of A.', replaced('\u0141'));
  malformed('text_with_character_beyond_bmp', '32', 'text', 'U+1F511 is two characters; the offset is that of the first.', replaced('\u{1f511}'));
  malformed('text_with_two_faults', '32', 'text', 'Of two characters outside the alphabet the first one counts.', `${replaced('\u{1f511}')}=`);
  malformed('text_with_percent_escape', '32', 'text', 'Percent-encoding is not undone.', `${t.slice(0, 60)}%41${t.slice(61)}`);
  malformed('text_of_length_1_modulo_4', '33', 'text', 'A single character holds no byte.', `${text(whole(envelope({ label: 'no spare', plaintext: long(1) }).parts))}A`);
  const last = (s) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.indexOf(s.at(-1));
  const withSpare = (s, bits) => s.slice(0, -1) + 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[last(s) | bits];
  malformed('text_with_one_of_four_spare_bits_set', '33', 'text', 'Decodes to the right bytes in a lenient decoder.', withSpare(odd, 1));
  malformed('text_with_highest_of_four_spare_bits_set', '33', 'text', 'Decodes to the right bytes in a lenient decoder.', withSpare(odd, 8));
  malformed('text_with_one_of_two_spare_bits_set', '33', 'text', 'Decodes to the right bytes in a lenient decoder.', withSpare(even, 1));
  malformed('text_prefix_alone', '34', 'magic', 'The envelope has no bytes.', 'swx1.');
  malformed('text_of_truncated_header', '34', 'commitment', 'The envelope ends in its commitment.', text(header(one.parts).subarray(0, 60)));
  malformed('text_of_unknown_suite', '34', 'suite', 'Suite 3.', text(whole({ ...one.parts, suite: u8(3) })));
  fails('text_of_tampered_body', '34 43', 'One bit of the tag.', text(whole({ ...one.parts, body: flip(one.parts.body, -1) })));
  fails('text_with_four_characters_missing', '34 43', 'A column too narrow for its value.', text(whole(envelope({ label: 'narrow', plaintext: long(10) }).parts)).slice(0, -4));
  fails('text_of_other_context', '34 43', 'Not the context of the message.', t, { context: { ...CONTEXT, row: '43' } });
}

// ---- split form ------------------------------------------------------------------------------------------------------------------------

{
  const h = header(one.parts);
  const b = one.parts.body;
  malformed('split_header_empty', '35', 'magic', 'No header.', { header: Buffer.alloc(0), body: b });
  malformed('split_header_one_byte_short', '35', 'commitment', 'The missing byte is not taken from the body.', { header: cut(h), body: cat(h.subarray(-1), b) });
  malformed('split_header_one_byte_long', '35', 'body', 'The surplus byte is not given to the body.', { header: cat(h, b.subarray(0, 1)), body: b.subarray(1) });
  malformed('split_header_holds_whole_envelope', '35', 'body', 'Everything in the header, nothing in the body.', { header: whole(one.parts), body: Buffer.alloc(0) });
  malformed('split_body_empty', '8 35', 'body', 'The body got lost.', { header: h, body: Buffer.alloc(0) });
  malformed('split_parts_exchanged', '35', 'magic', 'The body where the header belongs.', { header: b, body: h });
  fails('split_body_of_another_message', '35 43', 'A genuine body of another data key.', { header: h, body: envelope({ label: 'another' }).parts.body });
  fails('split_body_with_its_header', '35 43', 'A whole envelope where its body belongs.', { header: h, body: whole(one.parts) });
}

// ---- output ------------------------------------------------------------------------------------------------------------------------------

function example() {
  const name = 'a';
  const dek = bytes('example dek', 32);
  const kek = bytes('example kek', 32);
  const e = envelope({ name, dek, kek, context: { row: '42' }, plaintext: utf8('hello'), nonce: bytes('example nonce', 12) });
  const rows = {
    KEK: kek, 'data key': dek, context: e.aad, plaintext: e.plaintext, 'message key': e.key, magic: e.parts.magic, 'format version': e.parts.format, suite: e.parts.suite,
    'keyset name length': e.parts.nameLength, 'keyset name': e.parts.name, 'key version': e.parts.version, 'wrapped data key': e.parts.wrapped, commitment: e.parts.commitment,
    nonce: e.parts.body.subarray(0, 12), ciphertext: e.parts.body.subarray(12, -16), tag: e.parts.body.subarray(-16),
  };
  const lines = Object.entries(rows).map(([row, value]) => {
    const wrapped = value.toString('hex').match(/.{1,64}/g).join(`\n${' '.repeat(20)}`);
    return `${row.padEnd(20)}${wrapped}`;
  });
  return `${lines.join('\n')}\n${'text form'.padEnd(20)}${text(whole(e.parts)).match(/.{1,64}/g).join(`\n${' '.repeat(20)}`)}\n`;
}

const files = new Map([...cases].map(([name, content]) => [`${name}.json`, `${JSON.stringify(content, null, 2)}\n`]));

if (process.argv.includes('--example')) {
  process.stdout.write(example());
} else if (process.argv.includes('--check')) {
  const present = new Map(readdirSync(OUT).map((file) => [file, readFileSync(join(OUT, file), 'utf8')]));
  const differing = [...new Set([...files.keys(), ...present.keys()])].filter((file) => files.get(file) !== present.get(file));
  for (const file of differing) console.log(`differs from what generate.mjs writes: ${file}`);
  console.log(`${files.size} files generated, ${differing.length} differ`);
  process.exit(differing.length ? 1 : 0);
} else {
  rmSync(OUT, { recursive: true, force: true });
  mkdirSync(OUT, { recursive: true });
  for (const [file, content] of files) writeFileSync(join(OUT, file), content);
  console.log(`${files.size} files written`);
}
