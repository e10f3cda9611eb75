package dev.sealwax.kms.store;

import static dev.sealwax.kms.store.FleetChild.HASTY;
import static dev.sealwax.kms.store.FleetChild.STEADY;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * The messages of one process: it encrypts for all under two keysets that are rotated meanwhile,
 * and decrypts at once what any process has encrypted. None of that may fail.
 */
final class FleetLoad {
  private static final long PAUSE_NANOS = 5_000_000;
  private static final int MAX_SHOWN = 5;

  private final Kms kms;
  private final Path directory;
  private final AtomicLong encrypted = new AtomicLong();
  private final AtomicLong decrypted = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final Set<String> versions = ConcurrentHashMap.newKeySet();

  FleetLoad(Kms kms, Path directory) {
    this.kms = kms;
    this.directory = directory;
  }

  /** Encrypts until {@code over} says so. */
  void send(int sender, FleetMail.Outbox outbox, BooleanSupplier over) throws IOException {
    try (outbox) {
      for (long message = 0; !over.getAsBoolean(); ) {
        for (String keyset : new String[] {STEADY, HASTY}) {
          try {
            outbox.put(
                kms.envelopeCipher(keyset)
                    .encrypt(plaintext(sender, message), context(sender, message)));
            message++;
            encrypted.incrementAndGet();
          } catch (RuntimeException e) {
            failed("encryption under " + keyset, e);
          }
        }
        outbox.send();
        LockSupport.parkNanos(PAUSE_NANOS);
      }
    }
  }

  /** Decrypts what one process sends, to the end. */
  void receive(int sender) throws IOException {
    try (FleetMail.Inbox inbox = new FleetMail.Inbox(FleetMail.file(directory, sender))) {
      byte[] envelope = inbox.take();
      for (long message = 0; envelope.length > 0; message++) {
        EnvelopeInfo info = EnvelopeInfo.inspect(envelope);
        String version = info.keyset() + " version " + info.keyVersion();
        try {
          byte[] opened =
              kms.envelopeCipher(info.keyset().value()).decrypt(envelope, context(sender, message));
          if (!new String(opened, StandardCharsets.UTF_8).equals(text(sender, message))) {
            throw new IllegalStateException("another message");
          }
          decrypted.incrementAndGet();
          versions.add(version);
        } catch (RuntimeException e) {
          failed("decryption under " + version, e);
        }
        envelope = inbox.take();
      }
    }
  }

  private void failed(String what, RuntimeException failure) {
    if (failed.incrementAndGet() <= MAX_SHOWN) {
      System.err.println(what + " failed");
      failure.printStackTrace();
    }
  }

  private static String text(int sender, long message) {
    return "message " + message + " of " + sender;
  }

  private static byte[] plaintext(int sender, long message) {
    return text(sender, message).getBytes(StandardCharsets.UTF_8);
  }

  private static EncryptionContext context(int sender, long message) {
    return EncryptionContext.of(
        "sender", Integer.toString(sender), "message", Long.toString(message));
  }

  /** What came of it, once all is done. */
  FleetCounts counts(long conflicts) {
    return new FleetCounts(
        encrypted.get(), decrypted.get(), failed.get(), versions.size(), conflicts);
  }
}
