package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Every single-bit flip, every truncation and every byte too many of an envelope is refused as
 * envelope-v1 says, through every way in, whether its data key is cached or not (ENV-44); of a long
 * message, ways into the same code are tried with a sample.
 */
final class EnvelopeTamperingTest {
  private static final EncryptionContext ROW = EncryptionContext.of("table", "orders", "row", "42");
  private static final String NAME = EnvelopeRig.NAME;
  private static final int NAME_END = 6 + NAME.length();
  private static final int HEADER = 82 + NAME.length();
  private static final int VERSIONS = 3;
  private static final String BASE64URL =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  private static final int SUITE_1_BYTES = 50;
  private static final int SUITE_2_BYTES = 16384 + 100;
  private static final int CHUNKS = HEADER + 24 + 32;

  private final EnvelopeRig warm = EnvelopeRig.create();
  private final EnvelopeRig cold =
      warm.another(DataKeyPolicy.defaults().withDecryptCache(CachePolicy.none()));
  private final byte[] oneShot = warm.cipher().encrypt(plaintext(SUITE_1_BYTES), ROW);
  private final byte[] chunked = streamed(warm.cipher(), plaintext(SUITE_2_BYTES));

  EnvelopeTamperingTest() {
    // So that the next version numbers are genuine ones, only not those of the wrapped keys.
    warm.verbs().rotate(NAME);
    warm.verbs().rotate(NAME);
  }

  @AfterEach
  void close() {
    cold.close();
    warm.close();
  }

  /** The ways to open an envelope; each returns the plaintext. */
  private enum Way {
    ARRAY {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) {
        return cipher.decrypt(envelope, ROW);
      }
    },
    SPLIT {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) {
        return cipher.decryptSplit(SplitEnvelope.of(header(envelope), body(envelope)), ROW);
      }
    },
    TEXT {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) {
        return cipher.decryptText(TextForm.encode(envelope), ROW);
      }
    },
    STREAM {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        return drained(cipher.decryptingStream(Dribble.of(envelope), ROW), expected);
      }
    },
    BODY_STREAM {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        return drained(
            cipher.decryptingStream(header(envelope), Dribble.of(body(envelope)), ROW), expected);
      }
    },
    ONE_PASS_CHANNEL {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        ReadableByteChannel source = new ArrayChannel(envelope);
        return drained(Channels.newInputStream(cipher.decryptingChannel(source, ROW)), expected);
      }
    },
    CHANNEL {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        return whole(cipher.decryptingChannel(new ArrayChannel(envelope), ROW));
      }
    },
    BODY_CHANNEL {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        return whole(
            cipher.decryptingChannel(header(envelope), new ArrayChannel(body(envelope)), ROW));
      }
    },
    REENCRYPTION {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) {
        return cipher.decrypt(cipher.reencrypt(envelope, ROW), ROW);
      }
    },
    STREAM_REENCRYPTION {
      @Override
      byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected) throws IOException {
        ByteArrayOutputStream moved = new ByteArrayOutputStream();
        cipher.reencrypt(Dribble.of(envelope), moved, ROW);
        return cipher.decrypt(moved.toByteArray(), ROW);
      }
    };

    abstract byte[] open(EnvelopeCipher cipher, byte[] envelope, byte[] expected)
        throws IOException;

    /** As much as the length of the name says. */
    private static byte[] header(byte[] envelope) {
      int nameLength = envelope.length > 5 ? envelope[5] & 0xff : 0;
      return Arrays.copyOf(envelope, Math.min(82 + nameLength, envelope.length));
    }

    private static byte[] body(byte[] envelope) {
      return Arrays.copyOfRange(envelope, header(envelope).length, envelope.length);
    }

    private static byte[] whole(SeekableByteChannel in) throws IOException {
      try (in) {
        ByteBuffer out = ByteBuffer.allocate(Math.toIntExact(in.size()));
        while (out.hasRemaining() && in.read(out) >= 0) {
          // a channel may return less than asked for
        }
        return out.array();
      }
    }

    private static byte[] drained(InputStream in, byte[] expected) throws IOException {
      ByteArrayOutputStream released = new ByteArrayOutputStream();
      try (in) {
        byte[] buffer = new byte[20_000];
        try {
          for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            released.write(buffer, 0, n);
          }
        } catch (DecryptionFailedException e) {
          assertEquals(
              -1,
              Arrays.mismatch(released.toByteArray(), Arrays.copyOf(expected, released.size())),
              "released bytes that were never encrypted");
          try {
            int next = in.read();
            fail("read on after a failure: " + next);
          } catch (DecryptionFailedException again) {
            throw e;
          }
        }
      }
      return released.toByteArray();
    }
  }

  /** Ways into code that another way goes through, too: of a long message a sample will do. */
  private static final Set<Way> WAYS_INTO_THE_SAME =
      EnumSet.of(
          Way.BODY_STREAM,
          Way.ONE_PASS_CHANNEL,
          Way.BODY_CHANNEL,
          Way.REENCRYPTION,
          Way.STREAM_REENCRYPTION);

  /** Re-encryptions go past the cache, and open what they have made, which is in it. */
  private static final Set<Way> PAST_THE_CACHE =
      EnumSet.of(Way.REENCRYPTION, Way.STREAM_REENCRYPTION);

  /** The ways to move an envelope to the primary; each returns what it has become. */
  private enum Move {
    ARRAY {
      @Override
      byte[] rewrap(EnvelopeCipher cipher, byte[] envelope) {
        return cipher.rewrap(envelope);
      }
    },
    TEXT {
      @Override
      byte[] rewrap(EnvelopeCipher cipher, byte[] envelope) {
        return TextForm.decode(cipher.rewrapText(TextForm.encode(envelope)));
      }
    },
    HEADER {
      @Override
      byte[] rewrap(EnvelopeCipher cipher, byte[] envelope) {
        byte[] header = cipher.rewrapHeader(envelope);
        byte[] moved = envelope.clone();
        System.arraycopy(header, 0, moved, 0, header.length);
        return moved;
      }
    },
    IN_PLACE {
      @Override
      byte[] rewrap(EnvelopeCipher cipher, byte[] envelope) throws IOException {
        try (ArrayChannel file = new ArrayChannel(envelope)) {
          try {
            cipher.rewrap(file);
          } catch (MalformedEnvelopeException
              | DecryptionFailedException
              | KeyUnavailableException e) {
            assertArrayEquals(envelope, file.content(), "written to though refused");
            throw e;
          }
          return file.content();
        }
      }
    };

    abstract byte[] rewrap(EnvelopeCipher cipher, byte[] envelope) throws IOException;
  }

  @Test
  void everyBitOfSuite1_flipped_isRefused() {
    assertEveryWayOpens(oneShot, SUITE_1_BYTES);
    IntStream.range(0, oneShot.length * 8)
        .parallel()
        .forEach(bit -> assertFlipRefused(oneShot, bit, SUITE_1_BYTES));
  }

  @Test
  void everyHeaderBitAndManyBodyBitsOfSuite2_flipped_areRefused() {
    assertEveryWayOpens(chunked, SUITE_2_BYTES);
    IntStream edges =
        IntStream.of(CHUNKS, CHUNKS + 16400, chunked.length)
            // The first 4 bytes of a chunk, and the end of the one before with all of its tag.
            .flatMap(edge -> IntStream.range((edge - 20) * 8, (edge + 4) * 8));
    IntStream all = IntStream.concat(IntStream.range(0, CHUNKS * 8), edges);
    // Prime, so that it meets every bit of a byte and every byte of a block.
    IntStream rest = IntStream.iterate(CHUNKS * 8, bit -> bit + 31);
    int[] bits =
        IntStream.concat(all, rest.takeWhile(bit -> bit < chunked.length * 8))
            .filter(bit -> bit < chunked.length * 8)
            .distinct()
            .toArray();
    IntStream.of(bits).parallel().forEach(bit -> assertFlipRefused(chunked, bit, SUITE_2_BYTES));
  }

  @Test
  void everyBitOfAShortMessageOfSuite2_flipped_isRefused() {
    byte[] stream = streamed(warm.cipher(), plaintext(SUITE_1_BYTES));
    assertEquals(2, stream[4]);
    assertEveryWayOpens(stream, SUITE_1_BYTES);
    IntStream.range(0, stream.length * 8)
        .parallel()
        .forEach(bit -> assertFlipRefused(stream, bit, SUITE_1_BYTES));
  }

  @Test
  void everyBitOfEveryCharacterOfAText_flipped_isRefused() {
    List<byte[]> envelopes = new ArrayList<>();
    envelopes.add(streamed(warm.cipher(), plaintext(SUITE_1_BYTES)));
    // Of every length modulo 3, on which it depends what the last digit may be.
    for (int length = SUITE_1_BYTES; length < SUITE_1_BYTES + 3; length++) {
      envelopes.add(warm.cipher().encrypt(EnvelopeCipherTest.bytes(length), ROW));
    }
    for (byte[] envelope : envelopes) {
      String text = TextForm.encode(envelope);
      assertArrayEquals(warm.cipher().decrypt(envelope, ROW), warm.cipher().decryptText(text, ROW));
      Set<String> outcomes =
          IntStream.range(0, text.length() * Character.SIZE)
              .parallel()
              .mapToObj(bit -> assertTextFlipRefused(text, bit))
              .collect(Collectors.toSet());
      assertTrue(outcomes.contains("malformed text prefix at 0"), outcomes::toString);
      assertTrue(outcomes.contains("malformed text at " + (text.length() - 1)), outcomes::toString);
      assertTrue(outcomes.contains("decryption failed"), outcomes::toString);
    }
  }

  private String assertTextFlipRefused(String text, int bit) {
    char[] flipped = text.toCharArray();
    flipped[bit / Character.SIZE] ^= (char) (1 << bit % Character.SIZE);
    String tampered = new String(flipped);
    String expected = outcomeOfText(tampered);
    for (EnvelopeRig rig : new EnvelopeRig[] {cold, warm}) {
      assertEquals(
          expected,
          outcome(() -> rig.cipher().decryptText(tampered, ROW)),
          () -> "character bit " + bit);
      // Of the body, rewrap sees nothing; whatever it says of the rest, decryptText says too.
      if (!expected.equals("decryption failed")) {
        assertEquals(
            expected,
            outcome(() -> TextForm.decode(rig.cipher().rewrapText(tampered))),
            () -> "character bit " + bit);
      }
    }
    return expected;
  }

  /** What envelope-v1 says about a text one character of which differs. */
  private static String outcomeOfText(String text) {
    if (!text.startsWith("swx1.")) {
      return "malformed text prefix at 0";
    }
    for (int i = 5; i < text.length(); i++) {
      if (BASE64URL.indexOf(text.charAt(i)) < 0) {
        return "malformed text at " + i;
      }
    }
    byte[] decoded = Base64.getUrlDecoder().decode(text.substring(5));
    String canonical = Base64.getUrlEncoder().withoutPadding().encodeToString(decoded);
    return text.substring(5).equals(canonical)
        ? outcomeOfHeader(decoded)
        : "malformed text at " + (text.length() - 1);
  }

  /** Under the primary too: "already moved" is never said of a header that is not authentic. */
  @Test
  void everyHeaderBit_flipped_isRefusedByRewrap() {
    for (byte[] envelope :
        new byte[][] {
          oneShot,
          warm.cipher().encrypt(plaintext(SUITE_1_BYTES), ROW),
          streamed(warm.cipher(), plaintext(SUITE_1_BYTES))
        }) {
      for (Move move : Move.values()) {
        assertMoves(move, envelope);
      }
      IntStream.range(0, HEADER * 8).parallel().forEach(bit -> assertMoveRefused(envelope, bit));
    }
  }

  @Test
  void anotherSuite_isRefusedByRewrap() {
    for (byte[] envelope :
        new byte[][] {oneShot, warm.cipher().encrypt(plaintext(SUITE_1_BYTES), ROW)}) {
      byte[] tampered = Arrays.copyOf(envelope, envelope.length + 100);
      tampered[4] = 2;
      for (Move move : Move.values()) {
        assertEquals(
            "decryption failed", outcome(() -> move.rewrap(warm.cipher(), tampered)), move::name);
      }
    }
  }

  private void assertMoves(Move move, byte[] envelope) {
    try {
      byte[] moved = move.rewrap(warm.cipher(), envelope);
      assertEquals(VERSIONS, EnvelopeInfo.inspect(moved).keyVersion());
      assertTrue(
          Arrays.equals(envelope, HEADER, envelope.length, moved, HEADER, moved.length),
          "the body has changed");
      warm.cipher().decrypt(moved, ROW);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private void assertMoveRefused(byte[] envelope, int bit) {
    byte[] tampered = envelope.clone();
    tampered[bit / 8] ^= (byte) (0x80 >> bit % 8);
    String expected = outcomeOfHeader(tampered);
    for (Move move : Move.values()) {
      assertEquals(
          expected,
          outcome(() -> move.rewrap(warm.cipher(), tampered)),
          () -> "bit " + bit + ", " + move + " from version " + versionOf(envelope));
    }
  }

  private static int versionOf(byte[] envelope) {
    return ByteBuffer.wrap(envelope).getInt(NAME_END);
  }

  @Test
  void everyTruncationOfSuite1_isRefused() {
    assertEveryWayOpens(oneShot, SUITE_1_BYTES);
    IntStream.range(0, oneShot.length)
        .parallel()
        .forEach(length -> assertTruncationRefused(oneShot, length, HEADER + 28, SUITE_1_BYTES));
  }

  @Test
  void everyTruncationOfSuite2_isRefused() {
    assertEveryWayOpens(chunked, SUITE_2_BYTES);
    IntStream.range(0, chunked.length)
        .parallel()
        .forEach(length -> assertTruncationRefused(chunked, length, HEADER + 72, SUITE_2_BYTES));
  }

  @Test
  void everyByteTooMany_isRefused() {
    for (int value = 0; value < 256; value++) {
      assertRefused("decryption failed", extended(oneShot, value), SUITE_1_BYTES, 0, "+" + value);
      assertRefused("decryption failed", extended(chunked, value), SUITE_2_BYTES, 0, "+" + value);
    }
  }

  @Test
  void cachedPath_isTheOneTaken() {
    long before = warm.ciphers.statistics().decryptKeys().hits();
    assertFlipRefused(oneShot, oneShot.length * 8 - 1, SUITE_1_BYTES);
    int ways = Way.values().length - PAST_THE_CACHE.size();
    assertEquals(before + ways, warm.ciphers.statistics().decryptKeys().hits());
    assertEquals(0, cold.ciphers.statistics().decryptKeys().hits());
  }

  private void assertEveryWayOpens(byte[] envelope, int length) {
    for (Way way : Way.values()) {
      for (EnvelopeRig rig : new EnvelopeRig[] {cold, warm}) {
        try {
          assertArrayEquals(plaintext(length), way.open(rig.cipher(), envelope, plaintext(length)));
        } catch (IOException e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  private void assertFlipRefused(byte[] envelope, int bit, int length) {
    byte[] tampered = envelope.clone();
    tampered[bit / 8] ^= (byte) (0x80 >> bit % 8);
    assertRefused(outcomeOfHeader(tampered), tampered, length, bit, "bit " + bit);
  }

  private void assertTruncationRefused(byte[] envelope, int cut, int shortest, int length) {
    String expected;
    if (cut < HEADER) {
      int[] ends = {3, 4, 5, 6, NAME_END, NAME_END + 4, NAME_END + 44, HEADER};
      String[] fields = {
        "magic",
        "format version",
        "suite",
        "keyset name length",
        "keyset name",
        "key version",
        "wrapped data key",
        "commitment"
      };
      int field = 0;
      while (cut >= ends[field]) {
        field++;
      }
      expected = "malformed " + fields[field] + " at " + (field == 0 ? 0 : ends[field - 1]);
    } else {
      expected = cut < shortest ? "malformed body at " + HEADER : "decryption failed";
    }
    assertRefused(expected, Arrays.copyOf(envelope, cut), length, cut, "cut to " + cut);
  }

  private void assertRefused(
      String expected, byte[] tampered, int length, int number, String what) {
    for (Way way : Way.values()) {
      // Prime, so that it meets every bit of a byte and every byte of a block.
      if (length == SUITE_2_BYTES && number % 17 != 0 && WAYS_INTO_THE_SAME.contains(way)) {
        continue;
      }
      assertEquals(expected, outcome(way, cold, tampered, length), () -> what + ", cold " + way);
      assertEquals(expected, outcome(way, warm, tampered, length), () -> what + ", warm " + way);
    }
  }

  private static String outcome(Way way, EnvelopeRig rig, byte[] envelope, int length) {
    return outcome(() -> way.open(rig.cipher(), envelope, plaintext(length)));
  }

  /** An operation on an envelope. */
  private interface Operation {
    byte[] run() throws IOException;
  }

  private static String outcome(Operation operation) {
    try {
      return "returned " + operation.run().length + " bytes";
    } catch (MalformedEnvelopeException e) {
      return "malformed " + e.field() + " at " + e.offset();
    } catch (KeyUnavailableException e) {
      return "key unavailable " + e.reason();
    } catch (DecryptionFailedException e) {
      return "decryption failed";
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /**
   * What envelope-v1 §4 and §13 say about an envelope some bits of which differ, its body being
   * long enough.
   */
  private static String outcomeOfHeader(byte[] e) {
    if (e[0] != 0x53 || e[1] != 0x57 || e[2] != 0x58) {
      return "malformed magic at 0";
    }
    if (e[3] != 1) {
      return "malformed format version at 3";
    }
    if (e[4] != 1 && e[4] != 2) {
      return "malformed suite at 4";
    }
    int n = e[5] & 0xff;
    if (n == 0 || n > 64) {
      return "malformed keyset name length at 5";
    }
    String name = new String(e, 6, n, StandardCharsets.ISO_8859_1);
    if (!name.matches("[a-z0-9][a-z0-9._-]*")) {
      return "malformed keyset name at 6";
    }
    long version = ByteBuffer.wrap(e).getInt(6 + n) & 0xffffffffL;
    if (version == 0 || version > Integer.MAX_VALUE) {
      return "malformed key version at " + (6 + n);
    }
    if (!name.equals(NAME)) {
      return "key unavailable OTHER_KEYSET";
    }
    return version > VERSIONS ? "key unavailable UNKNOWN_VERSION" : "decryption failed";
  }

  @Test
  void outcomeOfHeader_knowsAllOutcomes() {
    assertEquals("decryption failed", outcomeOfHeader(oneShot));
    for (String outcome :
        new String[] {
          "malformed magic at 0",
          "malformed format version at 3",
          "malformed suite at 4",
          "malformed keyset name length at 5",
          "malformed keyset name at 6",
          "malformed key version at 12",
          "key unavailable OTHER_KEYSET",
          "key unavailable UNKNOWN_VERSION"
        }) {
      assertTrue(
          IntStream.range(0, HEADER * 8)
              .mapToObj(
                  bit -> {
                    byte[] tampered = oneShot.clone();
                    tampered[bit / 8] ^= (byte) (0x80 >> bit % 8);
                    return outcomeOfHeader(tampered);
                  })
              .anyMatch(outcome::equals),
          outcome);
    }
    assertNotEquals(oneShot[4], chunked[4]);
  }

  private static byte[] streamed(EnvelopeCipher cipher, byte[] plaintext) {
    ByteArrayOutputStream sink = new ByteArrayOutputStream();
    try (OutputStream out = cipher.encryptingStream(sink, ROW)) {
      out.write(plaintext);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return sink.toByteArray();
  }

  private static byte[] extended(byte[] envelope, int value) {
    byte[] longer = Arrays.copyOf(envelope, envelope.length + 1);
    longer[envelope.length] = (byte) value;
    return longer;
  }

  private static byte[] plaintext(int length) {
    return length == SUITE_2_BYTES ? LONG_PLAINTEXT : SHORT_PLAINTEXT;
  }

  private static final byte[] SHORT_PLAINTEXT = EnvelopeCipherTest.bytes(SUITE_1_BYTES);
  private static final byte[] LONG_PLAINTEXT = EnvelopeCipherTest.bytes(SUITE_2_BYTES);
}
