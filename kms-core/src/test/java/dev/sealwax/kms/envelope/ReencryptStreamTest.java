package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsEvent;
import dev.sealwax.kms.vocabulary.KmsException;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReencryptStreamTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "1");
  private static final EncryptionContext OTHER_ROW = EncryptionContext.of("row", "2");
  private static final int CHUNK = 64 * 1024;

  private final List<KmsEvent> events = new ArrayList<>();
  private final EnvelopeRig rig =
      EnvelopeRig.create(
          DataKeyPolicy.defaults(),
          CachePolicy.of(Duration.ofHours(1), Duration.ofHours(2), 10_000),
          Runnable::run,
          event -> {
            if (event.operation() == KmsEvent.Operation.REENCRYPT) {
              events.add(event);
            }
          });
  private final EnvelopeCipher cipher = rig.cipher();

  @AfterEach
  void close() {
    rig.close();
  }

  private static byte[] message(int length) {
    byte[] message = new byte[length];
    new SplittableRandom(length).nextBytes(message);
    return message;
  }

  private byte[] streamed(byte[] message) throws IOException {
    ByteArrayOutputStream envelope = new ByteArrayOutputStream();
    cipher.encrypt(new ByteArrayInputStream(message), envelope, ROW);
    return envelope.toByteArray();
  }

  private void compromise() {
    rig.verbs().rotate(EnvelopeRig.NAME);
    rig.verbs().compromise(EnvelopeRig.NAME, 1);
  }

  private byte[] reencrypted(byte[] envelope) throws IOException {
    ByteArrayOutputStream anew = new ByteArrayOutputStream();
    cipher.reencrypt(new ByteArrayInputStream(envelope), anew, ROW);
    return anew.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 32 * 1024, 32 * 1024 + 1, CHUNK, 3 * CHUNK, 3 * CHUNK + 7})
  void envelopesOfBothSuites_moveAwayFromACompromisedVersion(int length) throws IOException {
    byte[] message = message(length);
    List<byte[]> envelopes = List.of(cipher.encrypt(message, ROW), streamed(message));
    compromise();
    for (byte[] envelope : envelopes) {
      assertThrows(KeyUnavailableException.class, () -> cipher.decrypt(envelope, ROW));
      byte[] anew = reencrypted(envelope);
      EnvelopeInfo before = EnvelopeInfo.inspect(envelope);
      EnvelopeInfo now = EnvelopeInfo.inspect(anew);
      assertEquals(2, now.keyVersion());
      assertEquals(before.suite(), now.suite());
      assertNotEquals(before.dataKeyId(), now.dataKeyId());
      assertNotEquals(now.dataKeyId(), EnvelopeInfo.inspect(reencrypted(envelope)).dataKeyId());
      assertEquals(envelope.length, anew.length);
      assertArrayEquals(message, cipher.decrypt(anew, ROW));
    }
  }

  @Test
  void whatIsNotAuthentic_leavesNothingThatOpens() throws IOException {
    byte[] envelope = streamed(message(3 * CHUNK + 7));
    byte[] small = cipher.encrypt(message(10), ROW);
    compromise();
    int header = EnvelopeInfo.inspect(envelope).headerLengthBytes();
    List<byte[]> broken = new ArrayList<>();
    for (int length :
        new int[] {
          0,
          5,
          header,
          header + 10,
          header + 100,
          header + CHUNK,
          header + 64 + CHUNK + 16,
          header + 64 + 2 * (CHUNK + 16),
          envelope.length - 1
        }) {
      broken.add(Arrays.copyOf(envelope, length));
    }
    broken.add(Arrays.copyOf(envelope, envelope.length + 1));
    for (int at :
        new int[] {header - 100, header - 1, header + 70, 2 * CHUNK, envelope.length - 1}) {
      byte[] changed = envelope.clone();
      changed[at < 0 ? 8 : at] ^= 1;
      broken.add(changed);
    }
    byte[] changed = small.clone();
    changed[small.length - 1] ^= 1;
    broken.add(changed);
    broken.add(Arrays.copyOf(small, small.length - 1));
    broken.add(Arrays.copyOf(small, 50_000));
    for (byte[] each : broken) {
      assertLeavesNothing(each, ROW);
    }
    assertLeavesNothing(envelope, OTHER_ROW);
    assertLeavesNothing(small, OTHER_ROW);
  }

  private void assertLeavesNothing(byte[] envelope, EncryptionContext context) {
    events.clear();
    long failures = rig.ciphers.statistics().failures();
    ByteArrayOutputStream anew = new ByteArrayOutputStream();
    KmsException refused =
        assertThrows(
            KmsException.class,
            () -> cipher.reencrypt(new ByteArrayInputStream(envelope), anew, context));
    assertTrue(
        refused instanceof DecryptionFailedException
            || refused instanceof MalformedEnvelopeException
            || refused instanceof KeyUnavailableException,
        refused::toString);
    for (EncryptionContext any : List.of(ROW, OTHER_ROW)) {
      assertThrows(KmsException.class, () -> cipher.decrypt(anew.toByteArray(), any));
    }
    assertEquals(1, events.size(), "told once");
    assertEquals(KmsEvent.Outcome.FAILURE, events.get(0).outcome());
    // Those above count as well, beside the re-encryption.
    assertEquals(failures + 3, rig.ciphers.statistics().failures(), "counted once");
  }

  @Test
  void reencryption_isOneOperationAndCountsBothItsHalves() throws IOException {
    byte[] envelope = streamed(message(2 * CHUNK));
    compromise();
    EnvelopeStatistics before = rig.ciphers.statistics();
    assertEquals(
        2 * CHUNK,
        cipher.reencrypt(new ByteArrayInputStream(envelope), OutputStream.nullOutputStream(), ROW));
    EnvelopeStatistics now = rig.ciphers.statistics();
    assertEquals(1, now.messagesEncrypted() - before.messagesEncrypted());
    assertEquals(1, now.messagesDecrypted() - before.messagesDecrypted());
    assertEquals(before.failures(), now.failures());
    assertEquals(before.abandoned(), now.abandoned());
    assertEquals(1, events.size());
    assertEquals(KmsEvent.Outcome.SUCCESS, events.get(0).outcome());
    assertEquals(2, events.get(0).keyVersion());
    assertEquals(2 * CHUNK, events.get(0).bytes());
  }

  @Test
  void sourceAndSink_stayOpenAndTheirFailuresAreToldOnce() throws IOException {
    byte[] envelope = streamed(message(2 * CHUNK));
    byte[] small = cipher.encrypt(message(10), ROW);
    compromise();
    InputStream source =
        new ByteArrayInputStream(envelope) {
          @Override
          public void close() {
            throw new AssertionError("closed");
          }
        };
    ByteArrayOutputStream sink =
        new ByteArrayOutputStream() {
          @Override
          public void close() {
            throw new AssertionError("closed");
          }
        };
    cipher.reencrypt(source, sink, ROW);
    OutputStream full =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("full");
          }
        };
    events.clear();
    long failed = rig.ciphers.statistics().failures();
    assertThrows(
        IOException.class, () -> cipher.reencrypt(new ByteArrayInputStream(envelope), full, ROW));
    assertThrows(
        IOException.class, () -> cipher.reencrypt(new ByteArrayInputStream(small), full, ROW));
    assertEquals(2, events.size());
    for (KmsEvent event : events) {
      assertEquals(KmsEvent.Outcome.FAILURE, event.outcome());
      assertEquals("full", event.failure().getMessage());
    }
    assertEquals(failed + 2, rig.ciphers.statistics().failures());
  }

  @Test
  void memory_isForSomeChunksOnly() throws IOException {
    byte[] envelope = streamed(message(40 * CHUNK + 5));
    compromise();
    AtomicLong ahead = new AtomicLong();
    AtomicLong most = new AtomicLong();
    InputStream source =
        new ByteArrayInputStream(envelope) {
          @Override
          public synchronized int read(byte[] out, int offset, int length) {
            int part = super.read(out, offset, length);
            most.accumulateAndGet(ahead.addAndGet(Math.max(0, part)), Math::max);
            return part;
          }
        };
    OutputStream sink =
        new OutputStream() {
          @Override
          public void write(int b) {
            ahead.decrementAndGet();
          }

          @Override
          public void write(byte[] bytes, int offset, int length) {
            ahead.addAndGet(-length);
          }
        };
    cipher.reencrypt(source, sink, ROW);
    assertEquals(0, ahead.get());
    assertTrue(most.get() <= 3 * CHUNK, () -> most + " bytes held");
  }
}
