package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.examples.Samples;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KmsException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Messages in several keysets, and those kept from before, which must always open. One thread. */
final class Traffic {
  private static final class Message {
    private final String keyset;
    private final String text;
    private final byte[] envelope;

    private Message(String keyset, String text, byte[] envelope) {
      this.keyset = keyset;
      this.text = text;
      this.envelope = envelope;
    }
  }

  /** What one run of it came to. */
  static final class Result {
    final Samples samples = new Samples();
    long failures;
    private double firstMillis = -1;
    private String firstFailure = "";

    /** How long the first operation took. */
    double firstMillis() {
      return firstMillis;
    }

    /** Why one failed; empty if none did. */
    String firstFailure() {
      return firstFailure;
    }

    void time(Runnable operation) {
      long start = System.nanoTime();
      try {
        operation.run();
      } catch (KmsException e) {
        failures++;
        if (firstFailure.isEmpty()) {
          firstFailure = String.valueOf(e.getMessage());
        }
      }
      long took = System.nanoTime() - start;
      samples.add(took);
      if (firstMillis < 0) {
        firstMillis = took / 1e6;
      }
    }
  }

  private final List<Message> kept = new ArrayList<>();

  int size() {
    return kept.size();
  }

  /** Encrypts a message that is kept from now on. */
  void keep(Kms kms, String keyset) {
    String text = "message " + kept.size();
    byte[] envelope = kms.envelopeCipher(keyset).encrypt(bytes(text), context(text));
    kept.add(new Message(keyset, text, envelope));
  }

  /** Opens every kept message and encrypts one beside it, again and again; at least once. */
  Result run(Kms kms, Duration time) throws InterruptedException {
    Result result = new Result();
    long end = System.nanoTime() + time.toNanos();
    do {
      for (Message message : kept) {
        EnvelopeCipher cipher = kms.envelopeCipher(message.keyset);
        result.time(() -> open(cipher, message));
        result.time(() -> cipher.encrypt(bytes(message.text), context(message.text)));
        Thread.sleep(1); // it is light traffic
      }
    } while (System.nanoTime() < end);
    return result;
  }

  private static void open(EnvelopeCipher cipher, Message message) {
    byte[] opened = cipher.decrypt(message.envelope, context(message.text));
    if (!Arrays.equals(opened, bytes(message.text))) {
      throw new IllegalStateException(message.text + " has become another");
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static EncryptionContext context(String text) {
    return EncryptionContext.of("message", text);
  }
}
