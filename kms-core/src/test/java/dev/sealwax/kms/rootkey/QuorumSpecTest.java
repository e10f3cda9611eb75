package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.rootkey.QuorumWrap.Entry;
import dev.sealwax.kms.rootkey.QuorumWrap.Standing;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The page docs/spec/quorum-v1.md against the code; its example was made by other software. */
final class QuorumSpecTest {
  private static final Path SPEC = Path.of("..", "docs", "spec", "quorum-v1.md");
  private static final Path TESTS =
      Path.of("src", "test", "java", "dev", "sealwax", "kms", "rootkey");

  @Test
  void everyRequirement_isCitedByATest() throws IOException {
    Pattern cited = Pattern.compile("QRM-\\d+");
    StringBuilder tests = new StringBuilder();
    for (String name : List.of("QuorumSpecTest", "QuorumRootKeyTest")) {
      tests.append(Files.readString(TESTS.resolve(name + ".java")));
    }
    Set<String> required = matches(cited, Files.readString(SPEC));
    assertTrue(required.size() >= 6, required.toString());
    assertEquals(required, matches(cited, tests.toString()));
  }

  private static Set<String> matches(Pattern pattern, String text) {
    return pattern
        .matcher(text)
        .results()
        .map(MatchResult::group)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** Cites QRM-1, QRM-2, QRM-3. */
  @Test
  void workedExample_isMadeAndOpened() throws IOException {
    List<String> blocks =
        Pattern.compile("```text\n([^`]*)\n```")
            .matcher(Files.readString(SPEC))
            .results()
            .map(match -> match.group(1).replace("\n", ""))
            .toList();
    byte[] share = HexFormat.of().parseHex("1011121314151617");
    List<Entry> entries =
        List.of(
            Entry.holding(WrappedKey.of(RootKeyId.of("example:one"), share)),
            Entry.without(RootKeyId.of("example:two"), Standing.MISSING),
            Entry.without(RootKeyId.of("example:three"), Standing.EXCLUDED));
    EncryptionContext context = EncryptionContext.of("keyset", "orders");
    byte[] secret = "three little words".getBytes(StandardCharsets.US_ASCII);
    try (KeyMaterial shareKey = KeyMaterial.owning(counting(0x40));
        KeyMaterial sealed = KeyMaterial.copyOf(secret)) {
      WrappedKey wrapped = QuorumWrap.seal(shareKey, counting(0x80), entries, context, sealed);
      assertEquals(blocks.get(0), wrapped.rootKeyId().value());
      assertEquals(blocks.get(1), HexFormat.of().formatHex(wrapped.ciphertext()));
      QuorumWrap parsed = QuorumWrap.parse(wrapped);
      assertNotNull(parsed);
      try (KeyMaterial opened = parsed.secret(shareKey, context)) {
        assertArrayEquals(secret, opened.use(byte[]::clone));
      }
    }
  }

  private static byte[] counting(int from) {
    byte[] bytes = new byte[32];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (from + i);
    }
    return bytes;
  }
}
