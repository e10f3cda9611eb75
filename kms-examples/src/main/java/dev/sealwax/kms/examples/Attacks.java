package dev.sealwax.kms.examples;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KmsException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** What must not open, tried on an envelope that does. */
final class Attacks {
  private final Terminal terminal;
  private int opened;

  private Attacks(Terminal terminal) {
    this.terminal = terminal;
  }

  /**
   * Tries all of them.
   *
   * @param other the cipher of another keyset
   * @return whether every one was refused
   */
  static boolean areRefused(
      Sample sample, EnvelopeCipher cipher, EnvelopeCipher other, Terminal terminal) {
    Attacks attacks = new Attacks(terminal);
    byte[] envelope = sample.envelope();
    EncryptionContext context = sample.context();
    cipher.decrypt(envelope, context);

    byte[] flipped = envelope.clone();
    flipped[flipped.length - 1] ^= 1;
    byte[] shortened = Arrays.copyOf(envelope, envelope.length - 1);
    byte[] plaintext = "amount,41.50".getBytes(StandardCharsets.UTF_8);
    attacks.attempt("one bit flipped", () -> cipher.decrypt(flipped, context));
    attacks.attempt("last byte cut off", () -> cipher.decrypt(shortened, context));
    attacks.attempt(
        "moved to another " + sample.place(), () -> cipher.decrypt(envelope, sample.elsewhere()));
    attacks.attempt("with another keyset", () -> other.decrypt(envelope, context));
    attacks.attempt("not encrypted at all", () -> cipher.decrypt(plaintext, context));
    return attacks.opened == 0;
  }

  private void attempt(String what, Runnable decryption) {
    try {
      decryption.run();
    } catch (KmsException e) {
      String reason = e instanceof KeyUnavailableException k ? " (" + k.reason() + ")" : "";
      terminal.say("  refused  %-26s %s%s", what, e.getClass().getSimpleName(), reason);
      return;
    }
    terminal.say("  OPENED   %s", what);
    opened++;
  }
}
