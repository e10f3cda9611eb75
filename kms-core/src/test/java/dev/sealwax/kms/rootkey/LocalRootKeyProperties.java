package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import net.jqwik.api.Assume;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.AlphaChars;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.constraints.StringLength;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

class LocalRootKeyProperties {
  private static Path directory;
  private static RootKey rootKey;

  @BeforeContainer
  static void create() throws IOException {
    directory = Files.createTempDirectory("sealwax");
    try (KeyMaterial sealingKey = KeyMaterial.copyOf(new byte[32])) {
      rootKey = LocalRootKey.create(directory.resolve("root.key"), sealingKey);
    }
  }

  @AfterContainer
  static void delete() throws IOException {
    rootKey.close();
    Files.delete(directory.resolve("root.key"));
    Files.delete(directory);
  }

  @Property(tries = 300)
  void unwrap_ofWrapped_isTheSecret(
      @ForAll @Size(min = 1, max = 4096) byte[] secret,
      @ForAll @Size(max = 8)
          Map<@AlphaChars @StringLength(min = 1, max = 9) String, @AlphaChars String> pairs) {
    EncryptionContext context = EncryptionContext.of(pairs);
    WrappedKey wrapped = wrap(secret, context);
    assertEquals(81 + secret.length, wrapped.ciphertext().length);
    try (KeyMaterial opened = rootKey.unwrap(wrapped, context)) {
      assertArrayEquals(secret, opened.use(byte[]::clone));
    }
  }

  @Property(tries = 300)
  void unwrap_withAnotherContext_isInvalid(
      @ForAll @Size(max = 3)
          Map<
                  @AlphaChars @StringLength(min = 1, max = 2) String,
                  @AlphaChars @StringLength(max = 2) String>
              one,
      @ForAll @Size(max = 3)
          Map<
                  @AlphaChars @StringLength(min = 1, max = 2) String,
                  @AlphaChars @StringLength(max = 2) String>
              two) {
    Assume.that(!one.equals(two));
    WrappedKey wrapped = wrap(new byte[32], EncryptionContext.of(one));
    assertInvalid(wrapped, EncryptionContext.of(two));
  }

  /** [LRK-15] */
  @Property(tries = 500)
  void unwrap_ofAlteredBytes_isInvalid(
      @ForAll @Size(min = 1, max = 100) byte[] secret,
      @ForAll @IntRange(max = 180) int position,
      @ForAll @IntRange(min = 1, max = 255) int difference) {
    byte[] bytes = wrap(secret, EncryptionContext.empty()).ciphertext();
    bytes[position % bytes.length] ^= (byte) difference;
    assertInvalid(WrappedKey.of(rootKey.currentKeyId(), bytes), EncryptionContext.empty());
  }

  private static WrappedKey wrap(byte[] secret, EncryptionContext context) {
    try (KeyMaterial key = KeyMaterial.copyOf(secret)) {
      return rootKey.wrap(key, context);
    }
  }

  private static void assertInvalid(WrappedKey wrapped, EncryptionContext context) {
    RootKeyException refusal =
        assertThrows(RootKeyException.class, () -> rootKey.unwrap(wrapped, context));
    assertEquals(INVALID_CIPHERTEXT, refusal.reason());
  }
}
