package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class SealwaxAeadTest {
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
  private static final byte[] ROW = "row 42".getBytes(StandardCharsets.UTF_8);
  private static final byte[] NONE = {};

  private final TinkRig rig = new TinkRig();
  private final SealwaxAead aead = SealwaxAead.of(rig.cipher);

  @AfterEach
  void close() {
    rig.close();
  }

  /** The mapping is a format: what it was yesterday has to be read tomorrow. */
  @Test
  void associatedData_standsInTheContextAsDocumented() throws Exception {
    Map<byte[], EncryptionContext> contexts =
        Map.of(
            NONE,
            EncryptionContext.of("tink-associated-data", ""),
            ROW,
            EncryptionContext.of("tink-associated-data", "cm93IDQy"),
            new byte[] {-1, -2, 0},
            EncryptionContext.of("tink-associated-data", "__4A"),
            new byte[4096],
            EncryptionContext.of("tink-associated-data", "A".repeat(5462)),
            // sha256sum of 4,097 zero bytes, in base64url
            new byte[4097],
            EncryptionContext.of(
                "tink-associated-data-sha256", "tYf6KXKZzpxgLlgpK1E3lAK_exB09rGGecL7hxyRfKg"));
    for (Map.Entry<byte[], EncryptionContext> entry : contexts.entrySet()) {
      byte[] sealed = aead.encrypt(PLAINTEXT, entry.getKey());

      assertArrayEquals(PLAINTEXT, rig.cipher.decrypt(sealed, entry.getValue()));
      assertArrayEquals(
          PLAINTEXT, aead.decrypt(rig.cipher.encrypt(PLAINTEXT, entry.getValue()), entry.getKey()));
    }
  }

  @Test
  void associatedData_nullIsEmptyAndNeverNoContext() throws Exception {
    assertArrayEquals(PLAINTEXT, aead.decrypt(aead.encrypt(PLAINTEXT, null), NONE));
    assertArrayEquals(PLAINTEXT, aead.decrypt(aead.encrypt(PLAINTEXT, NONE), null));
    byte[] ofApplication = rig.cipher.encrypt(PLAINTEXT, EncryptionContext.empty());
    assertInstanceOf(
        DecryptionFailedException.class,
        TinkRig.failureOf(() -> aead.decrypt(ofApplication, NONE)));
  }

  @Test
  void associatedData_aroundTheLimitAndLong_isTold() throws Exception {
    for (int length : new int[] {4095, 4096, 4097, 1_000_000}) {
      byte[] data = new byte[length];
      byte[] sealed = aead.encrypt(PLAINTEXT, data);
      assertArrayEquals(PLAINTEXT, aead.decrypt(sealed, data));
      byte[] other = data.clone();
      other[length - 1] = 1;
      assertInstanceOf(
          DecryptionFailedException.class, TinkRig.failureOf(() -> aead.decrypt(sealed, other)));
      byte[] longer = Arrays.copyOf(data, length + 1);
      assertInstanceOf(
          DecryptionFailedException.class, TinkRig.failureOf(() -> aead.decrypt(sealed, longer)));
    }
  }

  @Test
  void failure_isCheckedAndSaysWhy() throws Exception {
    byte[] sealed = aead.encrypt(PLAINTEXT, ROW);

    GeneralSecurityException failure =
        assertThrows(GeneralSecurityException.class, () -> aead.decrypt(sealed, NONE));

    assertInstanceOf(DecryptionFailedException.class, failure.getCause());
    assertEquals(failure.getCause().getMessage(), failure.getMessage());
    assertInstanceOf(
        MalformedEnvelopeException.class,
        TinkRig.failureOf(() -> aead.decrypt("no envelope".getBytes(StandardCharsets.UTF_8), ROW)));
    rig.kms.keysets().disable(TinkRig.NAME, 1);
    KeyUnavailableException disabled =
        assertInstanceOf(
            KeyUnavailableException.class, TinkRig.failureOf(() -> aead.decrypt(sealed, ROW)));
    assertEquals(KeyUnavailableException.Reason.DISABLED, disabled.reason());
    assertInstanceOf(
        KeyUnavailableException.class, TinkRig.failureOf(() -> aead.encrypt(PLAINTEXT, ROW)));
  }

  @Test
  void outage_isNoTampering() throws Exception {
    byte[] sealed = aead.encrypt(PLAINTEXT, ROW);
    rig.rootKey.always(Fault.failing(RootKeyException.Reason.UNAVAILABLE));
    try (Kms kms = rig.another()) {
      SealwaxAead cold = SealwaxAead.of(kms.envelopeCipher(TinkRig.NAME));

      RootKeyException decrypting =
          assertInstanceOf(
              RootKeyException.class, TinkRig.failureOf(() -> cold.decrypt(sealed, ROW)));
      RootKeyException encrypting =
          assertInstanceOf(
              RootKeyException.class, TinkRig.failureOf(() -> cold.encrypt(PLAINTEXT, ROW)));

      assertTrue(decrypting.reason().isRetryable());
      assertTrue(encrypting.reason().isRetryable());
    }
  }

  @Test
  void otherKeyset_isRefusedByName() throws Exception {
    rig.kms.keysets().create("other", KeysetTemplate.defaults());
    byte[] sealed = SealwaxAead.of(rig.kms.envelopeCipher("other")).encrypt(PLAINTEXT, ROW);

    KeyUnavailableException failure =
        assertInstanceOf(
            KeyUnavailableException.class, TinkRig.failureOf(() -> aead.decrypt(sealed, ROW)));

    assertSame(KeyUnavailableException.Reason.OTHER_KEYSET, failure.reason());
  }

  @Test
  void ciphertext_isRewrappedAsTheEnvelopeItIs() throws Exception {
    byte[] sealed = aead.encrypt(PLAINTEXT, ROW);
    rig.kms.keysets().rotate(TinkRig.NAME);

    byte[] moved = rig.cipher.rewrap(sealed);

    assertEquals(2, EnvelopeInfo.inspect(moved).keyVersion());
    assertArrayEquals(PLAINTEXT, aead.decrypt(moved, ROW));
  }

  @Test
  void closedOrNull_isAProgrammingError() {
    assertThrows(NullPointerException.class, () -> SealwaxAead.of(null));
    assertThrows(NullPointerException.class, () -> aead.encrypt(null, ROW));
    assertThrows(NullPointerException.class, () -> aead.decrypt(null, ROW));
    rig.kms.close();
    assertThrows(IllegalStateException.class, () -> aead.encrypt(PLAINTEXT, ROW));
  }

  @Test
  void text_namesTheKeysetAndNoData() throws Exception {
    assertEquals("SealwaxAead[orders]", aead.toString());
    byte[] secretRow = "customer-4711".getBytes(StandardCharsets.UTF_8);
    byte[] sealed = aead.encrypt(PLAINTEXT, secretRow);
    Throwable failure = TinkRig.thrownBy(() -> aead.decrypt(sealed, ROW));
    assertFalse(failure.toString().contains("cm93IDQy"), failure::toString);
  }
}
