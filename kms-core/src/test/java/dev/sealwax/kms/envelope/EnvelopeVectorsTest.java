package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sealwax.kms.keyset.TestKeysets;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The library against testvectors/envelope-v1, through every way in that fits the vector, cached
 * and uncached; and the requirements on writers and rewrappers, which no vector can show.
 */
final class EnvelopeVectorsTest {
  private static final int CHUNK_BYTES = 16384;
  private static final int FIRST_CIPHERTEXT_BYTE = 88 + 12;
  private static final Set<String> LENGTH_AND_ANOTHER_FAULT =
      Set.of(
          "body_length_is_checked_before_the_expiry",
          "body_length_is_checked_before_the_keyset",
          "body_length_is_checked_before_the_state",
          "suite_changed_from_1_to_2_with_short_body");
  private static final String LARGEST_VERSION = "key_version_largest";
  private static final EncryptionContext CONTEXT =
      EncryptionContext.of("table", "orders", "row", "42");

  @TestFactory
  Stream<DynamicContainer> vectors() throws IOException {
    List<byte[]> warmUp =
        List.of(
            EnvelopeVector.named("suite1_short_message").envelope(),
            EnvelopeVector.named("suite2_short_message").envelope());
    return EnvelopeVector.all().stream()
        .filter(vector -> !vector.name().equals(LARGEST_VERSION))
        .map(vector -> DynamicContainer.dynamicContainer(vector.name(), testsOf(vector, warmUp)));
  }

  @Test
  void vectors_areManyAndMostlyNegative() throws IOException {
    List<EnvelopeVector> vectors = EnvelopeVector.all();
    long negative = vectors.stream().filter(vector -> !vector.expect().equals("success")).count();
    assertTrue(vectors.size() >= 160, vectors.size() + " vectors");
    assertTrue(
        negative > vectors.size() * 0.8 && negative < vectors.size(), negative + " negative");
  }

  /**
   * A keyset never has that many versions, since its versions have no gap, and the largest number
   * that the format allows is none to be refused by the parser. So its parts open it, without a
   * keyset.
   */
  @Test
  void keyVersionLargest_opens() throws IOException {
    EnvelopeVector vector = EnvelopeVector.named(LARGEST_VERSION);
    byte[] envelope = vector.envelope();
    EnvelopeHeader header = EnvelopeHeader.parse(envelope);
    VectorOpener.Key key = vector.keys().get(1);
    assertEquals(Integer.MAX_VALUE, header.keyVersion());
    assertEquals(Integer.MAX_VALUE, key.version());
    try (var kek = TestKeysets.keyEncryptionKey(key.version(), key.kek());
        DataKey dataKey = DataKey.unwrap(header, kek, TestKeysets.consent(), new Traffic())) {
      assertArrayEquals(
          vector.plaintext(),
          dataKey.messages().open(envelope, header.lengthBytes(), vector.context()));
    }
  }

  private static Stream<DynamicTest> testsOf(EnvelopeVector vector, List<byte[]> warmUp) {
    List<DynamicTest> tests = new ArrayList<>();
    if (vector.expect().equals("invalid-context")) {
      return Stream.of(DynamicTest.dynamicTest("context", () -> assertContextIsRefused(vector)));
    }
    if (vector.input() instanceof EnvelopeVector.Input.Text input) {
      tests.add(test("text", vector, opener -> opener.openText(vector.context(), input.text())));
    } else if (vector.input() instanceof EnvelopeVector.Input.Split input) {
      tests.add(
          test(
              "split",
              vector,
              opener -> opener.openSplit(vector.context(), input.header(), input.body())));
    } else {
      byte[] envelope = vector.envelope();
      Attempt whole = opener -> opener.open(vector.context(), envelope);
      tests.add(test("whole", vector, whole));
      // ENV-44: what was opened before under the same keys must not change any outcome.
      tests.add(
          test(
              "whole, cached",
              vector,
              opener -> {
                warmUp.forEach(other -> ignoringOutcome(() -> opener.open(CONTEXT, other)));
                ignoringOutcome(() -> whole.open(opener));
                return whole.open(opener);
              }));
      // A stream shows its length last, so where the length is one of two faults the other may be
      // met first.
      if (!LENGTH_AND_ANOTHER_FAULT.contains(vector.name())) {
        tests.add(test("stream", vector, opener -> readStream(opener, vector.context(), envelope)));
      }
      int headerBytes = envelope.length > 5 ? 82 + (envelope[5] & 0xff) : Integer.MAX_VALUE;
      if (headerBytes <= envelope.length) {
        byte[] header = Arrays.copyOf(envelope, headerBytes);
        byte[] body = Arrays.copyOfRange(envelope, headerBytes, envelope.length);
        tests.add(
            test("split", vector, opener -> opener.openSplit(vector.context(), header, body)));
      }
      tests.add(test("range", vector, opener -> readRange(opener, vector.context(), envelope)));
      String text = TextForm.encode(envelope);
      tests.add(test("text", vector, opener -> opener.openText(vector.context(), text)));
    }
    return tests.stream();
  }

  /** One way to open the envelope of a vector. */
  private interface Attempt {
    byte[] open(VectorOpener opener);
  }

  private static DynamicTest test(String way, EnvelopeVector vector, Attempt attempt) {
    return DynamicTest.dynamicTest(
        way,
        () -> {
          try (VectorOpener opener = EnvelopeVectorOpener.create(vector)) {
            assertOutcome(vector, () -> attempt.open(opener));
          }
        });
  }

  private static void assertOutcome(EnvelopeVector vector, Supplier<byte[]> opening) {
    switch (vector.expect()) {
      case "success" -> assertArrayEquals(vector.plaintext(), opening.get());
      case "malformed" -> {
        var e = assertThrows(MalformedEnvelopeException.class, opening::get);
        assertEquals(vector.detail(), e.field());
        assertEquals((long) vector.offset(), e.offset(), "offset of " + e.field());
      }
      case "key-unavailable" -> {
        var e = assertThrows(KeyUnavailableException.class, opening::get);
        assertEquals(vector.detail(), e.reason().name());
        assertEquals(KeysetId.of(vector.keyset()), e.keyset());
      }
      case "decryption-failed" -> {
        var e = assertThrows(DecryptionFailedException.class, opening::get);
        // ENV-43: nothing tells one failure from another.
        assertEquals(new DecryptionFailedException().getMessage(), e.getMessage());
        assertNull(e.getCause());
      }
      default -> fail("unknown outcome " + vector.expect());
    }
  }

  /** ENV-12: whatever opens takes a context, which cannot be made of these pairs. */
  private static void assertContextIsRefused(EnvelopeVector vector) {
    assertThrows(IllegalArgumentException.class, vector::context);
    Map<String, String> map = new HashMap<>();
    for (int i = 0; i < vector.pairs().size(); i += 2) {
      map.put(vector.pairs().get(i), vector.pairs().get(i + 1));
    }
    if (2 * map.size() == vector.pairs().size()) {
      assertThrows(IllegalArgumentException.class, () -> EncryptionContext.of(map));
    }
  }

  private static void ignoringOutcome(Supplier<byte[]> opening) {
    try {
      byte[] unused = opening.get();
    } catch (KmsException e) {
      // Only the traces that the attempt leaves in caches matter here.
    }
  }

  /**
   * Reads a stream whose source returns a few bytes at a time, and looks at what was released
   * before a failure.
   */
  private static byte[] readStream(
      VectorOpener opener, EncryptionContext context, byte[] envelope) {
    ByteArrayOutputStream released = new ByteArrayOutputStream();
    try (InputStream plaintext = opener.openStream(context, Dribble.of(envelope))) {
      byte[] buffer = new byte[1000];
      for (int count = plaintext.read(buffer); count >= 0; count = plaintext.read(buffer)) {
        released.write(buffer, 0, count);
      }
      return released.toByteArray();
    } catch (KmsException e) {
      // ENV-22, ENV-29: nothing from suite 1, only whole chunks of an intact message from suite 2.
      boolean oneShot = envelope.length > 4 && envelope[4] == 1;
      assertEquals(0, released.size() % CHUNK_BYTES, "bytes released of a bad chunk");
      assertFalse(oneShot && released.size() > 0, "bytes released of a bad message");
      throw e;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * ENV-30: the size needs the final chunk; then the ranges around every chunk boundary, then all.
   */
  private static byte[] readRange(VectorOpener opener, EncryptionContext context, byte[] envelope) {
    int size = Math.toIntExact(opener.sizeOf(context, envelope));
    byte[] all = opener.openRange(context, envelope, 0, size);
    for (int boundary = CHUNK_BYTES; boundary < size; boundary += CHUNK_BYTES) {
      int end = Math.min(size, boundary + 1);
      assertArrayEquals(
          Arrays.copyOfRange(all, boundary - 1, end),
          opener.openRange(context, envelope, boundary - 1, end - boundary + 1));
    }
    return all;
  }

  @TestFactory
  Stream<DynamicTest> sizeOf_whenFinalChunkIsBad_fails() throws IOException {
    // ENV-30, on the vectors whose fault lies in the final chunk or the length.
    return Stream.of(
            "suite2_final_chunk_bit_flipped",
            "suite2_final_chunk_cut_to_15_bytes",
            "suite2_final_chunk_cut_to_16_bytes",
            "suite2_final_chunk_cut_to_one_byte",
            "suite2_final_chunk_dropped",
            "suite2_final_chunk_of_a_shorter_message",
            "suite2_final_chunk_of_another_message",
            "suite2_full_final_chunk",
            "suite2_middle_chunk_dropped")
        .map(
            name ->
                DynamicTest.dynamicTest(
                    name,
                    () -> {
                      EnvelopeVector vector = EnvelopeVector.named(name);
                      try (var opener = EnvelopeVectorOpener.create(vector)) {
                        assertOutcome(
                            vector,
                            () ->
                                new byte[(int) opener.sizeOf(vector.context(), vector.envelope())]);
                      }
                    }));
  }

  @Test
  void seal_neverRepeatsNonceOfDataKey() throws IOException {
    // ENV-21
    try (VectorOpener opener = ordersOpener()) {
      Set<String> seen = new HashSet<>();
      for (int i = 0; i < 2000; i++) {
        byte[] envelope = opener.seal(CONTEXT, new byte[] {1});
        assertEquals(1, envelope[4], "suite");
        assertTrue(
            seen.add(hex(envelope, 56, FIRST_CIPHERTEXT_BYTE)), "commitment and nonce repeated");
      }
    }
  }

  @Test
  void sealStream_takesFreshSaltForEveryMessage() throws IOException {
    // ENV-23
    try (VectorOpener opener = ordersOpener()) {
      Set<String> seen = new HashSet<>();
      for (int i = 0; i < 200; i++) {
        byte[] envelope = opener.sealStream(CONTEXT, new byte[] {1});
        assertEquals(2, envelope[4], "suite");
        assertTrue(seen.add(hex(envelope, 88, 88 + 24)), "salt repeated");
      }
    }
  }

  @Test
  void seal_neverUsesDataKeyOfOpenedEnvelope() throws IOException {
    // ENV-14: a data key encrypts only where it was generated, for one suite.
    try (VectorOpener opener = ordersOpener();
        VectorOpener elsewhere = ordersOpener()) {
      byte[] foreign = elsewhere.seal(CONTEXT, new byte[] {1});
      byte[] foreignStream = elsewhere.sealStream(CONTEXT, new byte[] {1});
      assertArrayEquals(new byte[] {1}, opener.open(CONTEXT, foreign));
      assertArrayEquals(new byte[] {1}, opener.open(CONTEXT, foreignStream));
      Set<String> commitments = new HashSet<>();
      for (byte[] envelope :
          List.of(
              foreign,
              foreignStream,
              opener.seal(CONTEXT, new byte[] {1}),
              opener.sealStream(CONTEXT, new byte[] {1}))) {
        assertTrue(commitments.add(hex(envelope, 56, 88)), "data key of another process or suite");
      }
    }
  }

  @Test
  void dataKeyPolicy_allowsAtMost2To32Messages() throws IOException {
    // ENV-38
    try (VectorOpener opener = ordersOpener()) {
      assertTrue(opener.mostMessagesPerDataKey() <= 1L << 32);
    }
  }

  @Test
  void rewrap_changesNothingButKeyVersionAndWrappedKey() throws IOException {
    // ENV-36
    for (String suite : List.of("suite1", "suite2")) {
      EnvelopeVector before = EnvelopeVector.named(suite + "_short_message");
      try (VectorOpener opener = ordersOpener()) {
        assertArrayEquals(
            EnvelopeVector.named(suite + "_rewrapped").envelope(),
            opener.rewrap(before.envelope()));
      }
    }
  }

  @Test
  void rewrap_whenCommitmentDoesNotMatch_fails() throws IOException {
    // ENV-37
    for (String name :
        List.of("commitment_first_bit_flipped", "salamander_wrapped_key_b_commitment_a")) {
      try (VectorOpener opener = ordersOpener()) {
        byte[] envelope = EnvelopeVector.named(name).envelope();
        assertThrows(DecryptionFailedException.class, () -> opener.rewrap(envelope));
      }
    }
  }

  private static VectorOpener ordersOpener() throws IOException {
    EnvelopeVector vector = EnvelopeVector.named("suite1_short_message");
    return EnvelopeVectorOpener.create(vector.keyset(), vector.keys());
  }

  private static String hex(byte[] bytes, int from, int to) {
    return HexFormat.of().formatHex(bytes, from, to);
  }
}
