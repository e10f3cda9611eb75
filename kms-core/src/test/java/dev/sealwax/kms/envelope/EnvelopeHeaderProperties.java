package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.util.Arrays;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** One header, one encoding: envelope-v1 §4 and §14. */
class EnvelopeHeaderProperties {
  @Provide
  Arbitrary<String> names() {
    String letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    return Combinators.combine(
            Arbitraries.chars().with(letters),
            Arbitraries.strings().withChars(letters + "._-").ofMaxLength(63))
        .as((first, rest) -> first + rest);
  }

  @Property
  void parse_whatWasEncoded_isTheSameHeader(
      @ForAll AlgorithmSuite suite,
      @ForAll("names") String name,
      @ForAll @IntRange(min = 1) int keyVersion,
      @ForAll @Size(40) byte[] wrapped,
      @ForAll @Size(32) byte[] commitment,
      @ForAll @Size(max = 40) byte[] rest) {
    EnvelopeHeader header =
        EnvelopeHeader.of(suite, KeysetId.of(name), keyVersion, wrapped, commitment);
    byte[] encoded = header.toBytes();
    byte[] envelope = Arrays.copyOf(encoded, encoded.length + rest.length);
    System.arraycopy(rest, 0, envelope, encoded.length, rest.length);

    EnvelopeHeader parsed = EnvelopeHeader.parse(envelope);

    assertEquals(suite, parsed.suite());
    assertEquals(name, parsed.keyset().value());
    assertEquals(keyVersion, parsed.keyVersion());
    assertArrayEquals(commitment, parsed.commitment());
    int wrappedAt = parsed.wrappedDataKeyPosition();
    assertArrayEquals(wrapped, Arrays.copyOfRange(encoded, wrappedAt, wrappedAt + 40));
    assertEquals(82 + name.length(), parsed.lengthBytes());
    assertArrayEquals(encoded, parsed.toBytes());
    assertTrue(parsed.isPrefixOf(envelope));
  }

  @Property
  void parse_whatItAccepts_encodesToTheSameBytes(
      @ForAll("names") String name,
      @ForAll @IntRange(min = 1) int keyVersion,
      @ForAll @IntRange(max = 87) int position,
      @ForAll byte changed) {
    byte[] bytes =
        EnvelopeHeader.of(
                AlgorithmSuite.CHUNKED, KeysetId.of(name), keyVersion, new byte[40], new byte[32])
            .toBytes();
    bytes[position % bytes.length] = changed;
    EnvelopeHeader parsed;
    try {
      parsed = EnvelopeHeader.parse(bytes);
    } catch (MalformedEnvelopeException e) {
      assertNotNull(e.field());
      return;
    }
    byte[] again =
        EnvelopeHeader.of(
                parsed.suite(),
                parsed.keyset(),
                parsed.keyVersion(),
                Arrays.copyOfRange(
                    bytes, parsed.wrappedDataKeyPosition(), parsed.wrappedDataKeyPosition() + 40),
                parsed.commitment())
            .toBytes();
    assertArrayEquals(Arrays.copyOf(bytes, parsed.lengthBytes()), again);
  }

  @Property
  void isPrefixOf_anotherEnvelope_isFalse(
      @ForAll("names") String name, @ForAll @IntRange(max = 300) int position) {
    EnvelopeHeader header =
        EnvelopeHeader.of(
            AlgorithmSuite.ONE_SHOT, KeysetId.of(name), 1, new byte[40], new byte[32]);
    byte[] other = header.toBytes();
    other[position % other.length] ^= 1;

    assertFalse(header.isPrefixOf(other));
    assertFalse(header.isPrefixOf(Arrays.copyOf(header.toBytes(), header.lengthBytes() - 1)));
  }
}
