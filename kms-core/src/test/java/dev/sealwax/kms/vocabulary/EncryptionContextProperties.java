package dev.sealwax.kms.vocabulary;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** One context, one encoding, and no two with the same: envelope-v1 §5. */
class EncryptionContextProperties {
  @Provide
  Arbitrary<Map<String, String>> pairs() {
    return Arbitraries.maps(strings().filter(key -> !key.isEmpty()), strings()).ofMaxSize(6);
  }

  /** Few characters, so that strings often share starts; all of one to four bytes of UTF-8. */
  private static Arbitrary<String> strings() {
    return Arbitraries.of("a", "b", "\0", "\1", "é", "～", "😀")
        .list()
        .ofMaxSize(4)
        .map(parts -> String.join("", parts));
  }

  /** Pairs that are likely to be near misses of one another. */
  @Provide
  Arbitrary<List<Map<String, String>>> twoOf() {
    return Arbitraries.maps(
            Arbitraries.of("a", "b", "ab", "a\0"), Arbitraries.of("", "a", "b", "ab", "\0\1a"))
        .ofMaxSize(3)
        .list()
        .ofSize(2);
  }

  @Property
  void toCanonicalBytes_canBeReadBack(@ForAll("pairs") Map<String, String> pairs) {
    ByteBuffer in = ByteBuffer.wrap(EncryptionContext.of(pairs).toCanonicalBytes());
    Map<String, String> read = new LinkedHashMap<>();
    for (int left = in.getShort(); left > 0; left--) {
      read.put(readString(in), readString(in));
    }
    assertEquals(0, in.remaining());
    assertEquals(pairs, read);
    List<String> keys = new ArrayList<>(read.keySet());
    List<String> sorted = new ArrayList<>(keys);
    Collections.sort(sorted);
    assertEquals(sorted, keys);
  }

  private static String readString(ByteBuffer in) {
    byte[] utf8 = new byte[in.getShort()];
    in.get(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  @Property
  void toCanonicalBytes_differIfAndOnlyIfThePairsDo(
      @ForAll("twoOf") List<Map<String, String>> two) {
    EncryptionContext one = EncryptionContext.of(two.get(0));
    EncryptionContext other = EncryptionContext.of(two.get(1));
    boolean samePairs = two.get(0).equals(two.get(1));

    assertEquals(samePairs, Arrays.equals(one.toCanonicalBytes(), other.toCanonicalBytes()));
    assertEquals(samePairs, one.equals(other));
    assertTrue(!samePairs || one.hashCode() == other.hashCode());
  }

  @Property
  void of_pairsInAnyOrder_isTheSameContext(
      @ForAll("pairs") Map<String, String> pairs, @ForAll Random random) {
    List<String> keys = new ArrayList<>(pairs.keySet());
    Collections.shuffle(keys, random);
    String[] strings =
        keys.stream()
            .flatMap(key -> java.util.stream.Stream.of(key, pairs.get(key)))
            .toArray(String[]::new);

    assertArrayEquals(
        EncryptionContext.of(pairs).toCanonicalBytes(),
        EncryptionContext.of(strings).toCanonicalBytes());
  }

  @Property
  void of_anyStrings_isRefusedOrWithinTheLimits(@ForAll List<String> strings) {
    EncryptionContext context;
    try {
      context = EncryptionContext.of(strings.toArray(String[]::new));
    } catch (IllegalArgumentException e) {
      return;
    }
    assertEquals(strings.size(), context.asMap().size() * 2);
    assertTrue(context.asMap().size() <= EncryptionContext.MAX_PAIRS);
    assertTrue(context.toCanonicalBytes().length <= EncryptionContext.MAX_ENCODED_BYTES);
    context
        .asMap()
        .forEach(
            (key, value) -> {
              assertTrue(StandardCharsets.UTF_8.newEncoder().canEncode(key));
              assertTrue(StandardCharsets.UTF_8.newEncoder().canEncode(value));
            });
  }
}
