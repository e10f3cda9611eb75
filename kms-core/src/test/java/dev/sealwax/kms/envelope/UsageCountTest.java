package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What ciphers encrypt arrives in the counts of the stored keyset (keyset-v1 §4.1). */
final class UsageCountTest {
  private static final int LIMIT = 1 << 17;
  private static final int BLOCK = LIMIT / 128;
  private static final EncryptionContext CONTEXT = EncryptionContext.empty();

  private final EnvelopeRig rig = EnvelopeRig.create();

  @BeforeEach
  void count() {
    rig.verbs().setRotationPolicy(EnvelopeRig.NAME, RotationPolicy.manual().afterMessages(LIMIT));
  }

  @AfterEach
  void close() {
    rig.close();
  }

  private KeyVersion counted() {
    return rig.verbs().get(EnvelopeRig.NAME).version(1).orElseThrow();
  }

  @Test
  void closedProcess_isCountedExactly() throws IOException {
    EnvelopeRig other = rig.another();
    EnvelopeCipher cipher = other.cipher();
    byte[] sealed = cipher.encrypt(new byte[10], CONTEXT);
    for (int i = 1; i < 3000; i++) {
      cipher.encrypt(new byte[10], CONTEXT);
    }
    cipher.encrypt(new byte[100_000], CONTEXT);
    cipher.encrypt(new ByteArrayInputStream(new byte[7]), new ByteArrayOutputStream(), CONTEXT);
    cipher.decrypt(sealed, CONTEXT);
    other.close();
    assertEquals(3002, counted().messages());
    assertEquals(30_000 + 100_000 + 7, counted().bytes());
  }

  @Test
  void streams_areCountedAsTheyAreSealed_alsoIfTheyAreGivenUp() throws IOException {
    EnvelopeRig other = rig.another();
    int length = 50_000;
    other
        .cipher()
        .encryptingStream(new ByteArrayInputStream(new byte[length]), CONTEXT)
        .readAllBytes();
    EnvelopeOutputStream abandoned =
        other.cipher().encryptingStream(new ByteArrayOutputStream(), CONTEXT);
    abandoned.write(new byte[40_000]);
    abandoned.abort();
    other.close();
    assertEquals(2, counted().messages());
    int chunksSealed = 2;
    assertEquals(length + chunksSealed * (16 << 10), counted().bytes());
  }

  @Test
  void runningProcess_isBehindByLessThanABlock() throws Exception {
    EnvelopeRig other = rig.another();
    int each = 5000;
    Crowd.of(
        4,
        i -> {
          for (int k = 0; k < each; k++) {
            other.cipher().encrypt(new byte[1], CONTEXT);
          }
          return i;
        });
    long used = 4L * each;
    long counted = counted().messages();
    assertTrue(counted > used - BLOCK, counted + " of " + used);
    assertTrue(counted <= used + BLOCK, "what slots hold ready is less than a block: " + counted);
    other.close();
    assertEquals(used, counted().messages());
  }

  @Test
  void keyPerMessage_isCounted() {
    EnvelopeRig strict = rig.another(DataKeyPolicy.defaults().withEncryptCache(CachePolicy.none()));
    for (int i = 0; i < 50; i++) {
      strict.cipher().encrypt(new byte[3], CONTEXT);
    }
    strict.close();
    assertEquals(50, counted().messages());
    assertEquals(150, counted().bytes());
  }

  @Test
  void afterARotation_theNewVersionIsCounted() {
    rig.cipher().encrypt(new byte[1], CONTEXT);
    rig.verbs().rotate(EnvelopeRig.NAME);
    EnvelopeRig other = rig.another();
    other.cipher().encrypt(new byte[1], CONTEXT);
    other.cipher().encrypt(new byte[1], CONTEXT);
    other.close();
    assertEquals(0, counted().messages(), "not reported yet");
    assertEquals(2, rig.verbs().get(EnvelopeRig.NAME).version(2).orElseThrow().messages());
  }
}
