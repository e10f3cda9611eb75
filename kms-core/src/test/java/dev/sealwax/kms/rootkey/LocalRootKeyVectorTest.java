package dev.sealwax.kms.rootkey;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import java.util.Properties;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Opens what {@code src/test/python/local_root_key_vectors.py} made from the specification alone.
 */
final class LocalRootKeyVectorTest {
  private static final EncryptionContext CONTEXT =
      EncryptionContext.of("sealwax", "key-version/v1", "keyset", "orders", "version", "1");

  @TempDir Path directory;
  private final Properties vectors = new Properties();

  @BeforeEach
  void load() throws IOException {
    try (InputStream in = getClass().getResourceAsStream("/local-root-key-v1/vectors.properties")) {
      vectors.load(Objects.requireNonNull(in, "vectors"));
    }
  }

  /** [LRK-7] [LRK-8] [LRK-11] [LRK-13] [LRK-16] */
  @Test
  void open_ofFileBySealingKey_unwrapsTheVectors() throws IOException {
    try (KeyMaterial sealingKey = KeyMaterial.owning(vector("sealingKey"));
        RootKey rootKey = LocalRootKey.open(file("fileBySealingKey"), sealingKey)) {
      assertUnwrapsTheVectors(rootKey);
    }
  }

  /** [LRK-7] [LRK-8] [LRK-12] */
  @Test
  void open_ofFileByPassphrase_unwrapsTheVectors() throws IOException {
    char[] passphrase = new String(vector("passphraseUtf8"), StandardCharsets.UTF_8).toCharArray();
    try (RootKey rootKey = LocalRootKey.open(file("fileByPassphrase"), passphrase)) {
      assertUnwrapsTheVectors(rootKey);
    }
  }

  private void assertUnwrapsTheVectors(RootKey rootKey) {
    assertEquals("local:" + vectors.getProperty("rootKeyId"), rootKey.currentKeyId().value());
    assertUnwraps(rootKey, "wrapped", CONTEXT, "secret");
    assertUnwraps(
        rootKey, "wrappedEmptyContext", EncryptionContext.empty(), "secretOfEmptyContext");
  }

  private void assertUnwraps(
      RootKey rootKey, String wrapped, EncryptionContext context, String secret) {
    WrappedKey key = WrappedKey.of(rootKey.currentKeyId(), vector(wrapped));
    try (KeyMaterial opened = rootKey.unwrap(key, context)) {
      assertArrayEquals(vector(secret), opened.use(byte[]::clone));
    }
  }

  /** RFC 9106 §5.3, so that a change of the library underneath would show. */
  @Test
  void argon2id_ofTheRfcVector_isTheRfcTag() {
    byte[] password = filled(32, 1);
    Argon2BytesGenerator generator = new Argon2BytesGenerator();
    generator.init(
        new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
            .withVersion(Argon2Parameters.ARGON2_VERSION_13)
            .withMemoryAsKB(32)
            .withIterations(3)
            .withParallelism(4)
            .withSalt(filled(16, 2))
            .withSecret(filled(8, 3))
            .withAdditional(filled(12, 4))
            .build());
    byte[] tag = new byte[32];
    generator.generateBytes(password, tag);
    assertEquals(
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
        HexFormat.of().formatHex(tag));
  }

  private static byte[] filled(int length, int value) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  private byte[] vector(String name) {
    return HexFormat.of().parseHex(vectors.getProperty(name));
  }

  private Path file(String name) throws IOException {
    Path file = directory.resolve(name);
    Files.write(file, vector(name));
    return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
  }
}
