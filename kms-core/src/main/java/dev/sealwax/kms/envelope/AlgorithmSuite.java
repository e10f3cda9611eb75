package dev.sealwax.kms.envelope;

import org.jspecify.annotations.Nullable;

/** How the body of an envelope is sealed; the id stands in the header. */
public enum AlgorithmSuite {
  /** One AES-256-GCM message of at most 32 KiB (envelope-v1 §7). */
  ONE_SHOT(1),
  /**
   * C2SP chunked-encryption with AES-256-GCM in chunks of 16 KiB, any length, random access
   * (envelope-v1 §8).
   */
  CHUNKED(2);

  private final int id;

  AlgorithmSuite(int id) {
    this.id = id;
  }

  /** The suite's byte in the header. */
  public int id() {
    return id;
  }

  static @Nullable AlgorithmSuite ofId(int id) {
    return id == 1 ? ONE_SHOT : id == 2 ? CHUNKED : null;
  }
}
