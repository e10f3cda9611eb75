package dev.sealwax.kms.envelope;

import dev.sealwax.kms.crypto.Tallies;
import java.util.concurrent.atomic.LongAdder;

/** Counts what the ciphers of one process have done. Safe for concurrent use. */
final class Traffic {
  // What is done under keys of the one-shot suite is counted with these keys, the rest here.
  private final Tallies sealed = new Tallies();
  private final Tallies opened = new Tallies();
  private final LongAdder encrypted = new LongAdder();
  private final LongAdder encryptedBytes = new LongAdder();
  private final LongAdder decrypted = new LongAdder();
  private final LongAdder decryptedBytes = new LongAdder();
  private final LongAdder atHand = new LongAdder();
  final LongAdder rewrapped = new LongAdder();
  final LongAdder failures = new LongAdder();
  final LongAdder abandoned = new LongAdder();

  Tallies sealed() {
    return sealed;
  }

  Tallies opened() {
    return opened;
  }

  /** Counts a message of the chunked suite. */
  void encrypted(long bytes) {
    encrypted.increment();
    encryptedBytes.add(bytes);
  }

  /** Counts a message of the chunked suite. */
  void decrypted(long bytes) {
    decrypted.increment();
    decryptedBytes.add(bytes);
  }

  /** Counts a key that was at hand, and not looked up in the cache; unless its cipher counts it. */
  void keyAtHand() {
    atHand.increment();
  }

  long encrypted() {
    return sealed.messages() + encrypted.sum();
  }

  long encryptedBytes() {
    return sealed.bytes() + encryptedBytes.sum();
  }

  long decrypted() {
    return opened.messages() + decrypted.sum();
  }

  long decryptedBytes() {
    return opened.bytes() + decryptedBytes.sum();
  }

  /** Keys to encrypt that were at hand, and not looked up in the cache. */
  long atHandToEncrypt() {
    return sealed.atHand();
  }

  /** Keys to decrypt that were at hand, and not looked up in the cache. */
  long atHandToDecrypt() {
    return opened.atHand() + atHand.sum();
  }
}
