package dev.sealwax.kms.envelope;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.testkit.FaultyRootKey.Fault;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Two threads, or one thread and an {@code Error}, in the least convenient order. */
@Timeout(60)
final class InterleavingTest {
  private static final EncryptionContext ROW = EncryptionContext.of("row", "7");
  private static final int CHUNK = 16_384;

  @Test
  void encrypt_startedAfterCompromise_joinsNoLoadOfTheOldVersion() throws Exception {
    try (EnvelopeRig rig =
        EnvelopeRig.create(
            DataKeyPolicy.defaults(), CachePolicy.none(), Runnable::run, /* listener= */ null)) {
      rig.verbs().get(EnvelopeRig.NAME);
      CountDownLatch release = new CountDownLatch(1);
      int before = rig.root.unwraps();
      rig.root.next(Fault.hanging(release));
      CompletableFuture<byte[]> early = sealing(rig);
      while (rig.root.unwraps() == before) {
        Thread.onSpinWait(); // until the load of version 1 is under way
      }

      rig.verbs().rotate(EnvelopeRig.NAME);
      rig.verbs().compromise(EnvelopeRig.NAME, 1);
      CompletableFuture<byte[]> late = sealing(rig);
      release.countDown();

      assertEquals(2, EnvelopeInfo.inspect(late.get(20, TimeUnit.SECONDS)).keyVersion());
      early.handle((result, failure) -> result).get(20, TimeUnit.SECONDS);
    }
  }

  private static CompletableFuture<byte[]> sealing(EnvelopeRig rig) {
    CompletableFuture<byte[]> result = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try {
                result.complete(rig.cipher().encrypt(new byte[8], ROW));
              } catch (RuntimeException e) {
                result.completeExceptionally(e);
              }
            });
    thread.setDaemon(true);
    thread.start();
    return result;
  }

  @Test
  void pullingStream_closedByAnotherThreadDuringARead_sealsNothingMore() throws Exception {
    try (EnvelopeRig rig = EnvelopeRig.create()) {
      CountDownLatch reading = new CountDownLatch(1);
      CountDownLatch closed = new CountDownLatch(1);
      AtomicReference<byte[]> buffer = new AtomicReference<>();
      byte[] plaintext = new byte[3 * CHUNK];
      Arrays.fill(plaintext, (byte) 7);
      InputStream source =
          new ByteArrayInputStream(plaintext) {
            private int reads;

            @Override
            public synchronized int read(byte[] out, int offset, int length) {
              buffer.set(out);
              if (reads++ == 1) {
                reading.countDown();
                awaitUninterruptibly(closed);
              }
              return super.read(out, offset, length);
            }
          };
      InputStream envelope = rig.cipher().encryptingStream(source, ROW);
      ByteArrayOutputStream sent = new ByteArrayOutputStream();
      CompletableFuture<Void> uploader =
          CompletableFuture.runAsync(
              () ->
                  assertThrows(
                      IOException.class,
                      () -> envelope.transferTo(sent),
                      "the uploader must notice"));

      reading.await();
      envelope.close();
      closed.countDown();
      uploader.get(20, TimeUnit.SECONDS);

      int firstChunkEnd =
          EnvelopeInfo.inspect(sent.toByteArray()).headerLengthBytes() + 56 + CHUNK + 16;
      assertEquals(firstChunkEnd, sent.size(), "bytes under a wiped key must never leave");
      assertThrows(IOException.class, envelope::read);
      assertArrayEquals(new byte[CHUNK], buffer.get(), "plaintext is left");
    }
  }

  @Test
  void encrypt_whenTheSourceThrowsAnError_leavesWhatDoesNotDecrypt() {
    try (EnvelopeRig rig = EnvelopeRig.create()) {
      InputStream source =
          new InputStream() {
            private int reads;

            @Override
            public int read() {
              return 0;
            }

            @Override
            public int read(byte[] out, int offset, int length) {
              if (reads++ == 2) {
                throw new StackOverflowError("half-way");
              }
              return length;
            }
          };
      ByteArrayOutputStream sink = new ByteArrayOutputStream();

      assertThrows(StackOverflowError.class, () -> rig.cipher().encrypt(source, sink, ROW));

      assertTrue(sink.size() > CHUNK);
      assertThrows(KmsException.class, () -> rig.cipher().decrypt(sink.toByteArray(), ROW));
    }
  }

  @Test
  void decrypt_whileAForgedHeaderOfAnotherKeysetHangs_isNotHeldUp() throws Exception {
    try (EnvelopeRig rig = EnvelopeRig.create()) {
      rig.verbs().create("victim", KeysetTemplate.defaults());
      byte[] envelope = rig.cipher("victim").encrypt(new byte[8], ROW);
      byte[] forged = rig.cipher().encrypt(new byte[8], ROW);
      // Same length of names is not needed: the wrapping alone is copied.
      System.arraycopy(
          envelope,
          EnvelopeHeader.NAME_POS + "victim".length() + EnvelopeHeader.WRAPPED_POS,
          forged,
          EnvelopeHeader.NAME_POS + EnvelopeRig.NAME.length() + EnvelopeHeader.WRAPPED_POS,
          EnvelopeHeader.WRAPPED_LEN);
      rig.verbs().rotate(EnvelopeRig.NAME);
      EnvelopeRig fresh = rig.another();
      fresh.verbs().get(EnvelopeRig.NAME); // by its version 2, so version 1 is not unwrapped yet
      byte[] other = rig.cipher("victim").encrypt(new byte[8], EncryptionContext.of("row", "8"));
      fresh.cipher("victim").decrypt(other, EncryptionContext.of("row", "8"));
      fresh.ciphers.discardDataKeys();
      CountDownLatch release = new CountDownLatch(1);
      int before = fresh.root.unwraps();
      fresh.root.next(Fault.hanging(release));
      CompletableFuture<Void> attack =
          CompletableFuture.runAsync(
              () -> assertThrows(KmsException.class, () -> fresh.cipher().decrypt(forged, ROW)));
      while (fresh.root.unwraps() == before) {
        Thread.onSpinWait();
      }

      assertArrayEquals(new byte[8], fresh.cipher("victim").decrypt(envelope, ROW));

      assertTrue(!attack.isDone(), "the other keyset still waits for its root key");
      release.countDown();
      attack.get(20, TimeUnit.SECONDS);
      fresh.close();
    }
  }

  @Test
  void outputStream_neverSealsAChunkTwice() throws IOException {
    try (EnvelopeRig rig = EnvelopeRig.create()) {
      ByteArrayOutputStream sink = new ByteArrayOutputStream();
      EnvelopeOutputStream out = rig.cipher().encryptingStream(sink, ROW);
      byte[] plaintext = new byte[CHUNK + 5];
      Arrays.fill(plaintext, (byte) 3);
      out.write(plaintext);
      out.close();
      out.close();

      assertArrayEquals(plaintext, rig.cipher().decrypt(sink.toByteArray(), ROW));
    }
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
