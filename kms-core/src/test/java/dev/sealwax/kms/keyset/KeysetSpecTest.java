package dev.sealwax.kms.keyset;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.store.StoredKeyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The page docs/spec/keyset-v1.md against the code. */
final class KeysetSpecTest {
  private static final Path SPEC = Path.of("..", "docs", "spec", "keyset-v1.md");
  private static final Path TESTS =
      Path.of("src", "test", "java", "dev", "sealwax", "kms", "keyset");

  @Test
  void everyRequirement_isCitedByATest() throws IOException {
    Set<String> required =
        matches(Pattern.compile("\\*\\*\\[(KS-\\d+)\\]\\*\\*"), Files.readString(SPEC));
    assertTrue(required.size() >= 20, "found " + required);
    Set<String> cited = new TreeSet<>();
    try (Stream<Path> files = Files.list(TESTS)) {
      for (Path file : files.toList()) {
        cited.addAll(matches(Pattern.compile("\\b(KS-\\d+)\\b"), Files.readString(file)));
      }
    }
    assertEquals(required, cited);
  }

  private static Set<String> matches(Pattern pattern, String text) {
    Set<String> found = new TreeSet<>();
    Matcher matcher = pattern.matcher(text);
    while (matcher.find()) {
      found.add(matcher.group(1));
    }
    return found;
  }

  @Test
  void workedExample_isReadWrittenAndAuthenticated() throws IOException {
    Matcher example = Pattern.compile("```json\n(.*)\n```").matcher(Files.readString(SPEC));
    assertTrue(example.find());
    String document = example.group(1);
    byte[] key = new byte[DocumentKey.BYTES];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) (0x20 + i);
    }
    Keyset keyset = KeysetJson.read(new StoredKeyset(KeysetId.of("orders"), 7, document));
    assertEquals("team \"pay\"", keyset.owner().orElseThrow());
    assertEquals(KeyState.DESTROYED, keyset.versions().get(0).state());
    try (DocumentKey documentKey = DocumentKey.copyOf(key, 0)) {
      assertEquals(document, documentKey.seal(KeysetJson.body(keyset)));
      assertNotNull(documentKey.verify(document));
      assertNull(documentKey.verify(document.replace("\"primary\":2", "\"primary\":1")));
    }
  }
}
