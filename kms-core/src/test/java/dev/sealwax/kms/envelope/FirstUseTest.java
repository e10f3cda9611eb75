package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A process that has nothing in memory meets a thousand threads at once. */
class FirstUseTest {
  private static final int THREADS = 1000;
  private static final Duration SLOW = Duration.ofMillis(50);

  /** For so long a failure answers for the root key. */
  private static final Duration FAILURE_PAUSE = Duration.ofMillis(100);

  private static final EncryptionContext CONTEXT = EncryptionContext.of("table", "orders");

  // A data key for each message, so that no two envelopes of the list share one.
  private final EnvelopeRig writer =
      EnvelopeRig.create(DataKeyPolicy.defaults().withMaxMessages(1));
  private final EnvelopeRig fresh = writer.another();

  @AfterEach
  void close() {
    fresh.close();
    writer.close();
  }

  private static byte[] message(int number) {
    return ("message " + number).getBytes(StandardCharsets.US_ASCII);
  }

  private List<byte[]> envelopes(int count) {
    List<byte[]> envelopes = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      envelopes.add(writer.cipher().encrypt(message(i), CONTEXT));
    }
    return envelopes;
  }

  @Test
  void decrypt_differentEnvelopesOfOneVersion_oneRootUnwrap() throws Exception {
    List<byte[]> envelopes = envelopes(THREADS);
    fresh.root.always(Fault.delaying(SLOW));

    List<byte[]> opened = Crowd.of(THREADS, i -> fresh.cipher().decrypt(envelopes.get(i), CONTEXT));

    for (int i = 0; i < THREADS; i++) {
      assertArrayEquals(message(i), opened.get(i));
    }
    assertEquals(1, fresh.root.unwraps());
    assertEquals(1, fresh.keysets.rootUnwraps());
  }

  @Test
  void decrypt_oneEnvelope_oneRootUnwrapAndOneDataKey() throws Exception {
    byte[] envelope = envelopes(1).get(0);
    fresh.root.always(Fault.delaying(SLOW));

    for (byte[] opened : Crowd.of(THREADS, i -> fresh.cipher().decrypt(envelope, CONTEXT))) {
      assertArrayEquals(message(0), opened);
    }

    assertEquals(1, fresh.root.unwraps());
    assertEquals(1, fresh.ciphers.statistics().decryptKeys().loads());
  }

  @Test
  void decrypt_twoVersions_oneRootUnwrapForEach() throws Exception {
    byte[] first = envelopes(1).get(0);
    writer.verbs().rotate(EnvelopeRig.NAME);
    byte[] second = envelopes(1).get(0);
    fresh.root.always(Fault.delaying(SLOW));

    Crowd.of(THREADS, i -> fresh.cipher().decrypt(i % 2 == 0 ? first : second, CONTEXT));

    assertEquals(2, fresh.root.unwraps());
  }

  @Test
  void encrypt_oneRootUnwrapAndOneDataKey() throws Exception {
    fresh.root.always(Fault.delaying(SLOW));

    List<byte[]> sealed = Crowd.of(THREADS, i -> fresh.cipher().encrypt(message(i), CONTEXT));

    assertEquals(1, fresh.root.unwraps());
    assertEquals(0, fresh.root.wraps());
    assertEquals(1, fresh.ciphers.statistics().encryptKeys().loads());
    Set<String> dataKeys =
        sealed.stream().map(e -> EnvelopeInfo.inspect(e).dataKeyId()).collect(Collectors.toSet());
    assertEquals(1, dataKeys.size());
    for (int i = 0; i < THREADS; i++) {
      assertArrayEquals(message(i), writer.cipher().decrypt(sealed.get(i), CONTEXT));
    }
  }

  @Test
  void decrypt_rootFails_allGetItsReasonAndTheNextAttemptWorks() throws Exception {
    List<byte[]> envelopes = envelopes(THREADS);
    fresh.root.always(Fault.failing(Reason.THROTTLED).after(SLOW));

    List<Reason> reasons =
        Crowd.of(THREADS, i -> failure(() -> fresh.cipher().decrypt(envelopes.get(i), CONTEXT)));

    assertEquals(List.of(Reason.THROTTLED), reasons.stream().distinct().toList());
    assertTrue(fresh.root.unwraps() < THREADS / 4, () -> fresh.root.unwraps() + " calls");
    fresh.root.always(Fault.NONE);
    fresh.pass(FAILURE_PAUSE);
    int before = fresh.root.unwraps();
    assertArrayEquals(message(7), fresh.cipher().decrypt(envelopes.get(7), CONTEXT));
    assertEquals(before + 1, fresh.root.unwraps());
  }

  @Test
  void encrypt_rootFails_allGetItsReasonAndTheNextAttemptWorks() throws Exception {
    fresh.root.always(Fault.failing(Reason.UNAVAILABLE).after(SLOW));

    List<Reason> reasons =
        Crowd.of(THREADS, i -> failure(() -> fresh.cipher().encrypt(message(i), CONTEXT)));

    assertEquals(List.of(Reason.UNAVAILABLE), reasons.stream().distinct().toList());
    assertTrue(fresh.root.unwraps() < THREADS / 4, () -> fresh.root.unwraps() + " calls");
    fresh.root.always(Fault.NONE);
    fresh.pass(FAILURE_PAUSE);
    byte[] envelope = fresh.cipher().encrypt(message(1), CONTEXT);
    assertArrayEquals(message(1), writer.cipher().decrypt(envelope, CONTEXT));
  }

  private static Reason failure(Runnable operation) {
    try {
      operation.run();
    } catch (RootKeyException e) {
      return e.reason();
    }
    throw new AssertionError("the operation succeeded without a root key");
  }
}
