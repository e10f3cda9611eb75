package dev.sealwax.kms.examples;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.util.HashMap;
import java.util.Map;

/** An envelope to try {@link Attacks} on, and the context that it opens with. */
final class Sample {
  private final byte[] envelope;
  private final EncryptionContext context;
  private final String place;

  /** Joins the parts; {@code place} is the pair of the context that tells neighbours apart. */
  Sample(byte[] envelope, EncryptionContext context, String place) {
    this.envelope = envelope;
    this.context = context;
    this.place = place;
  }

  byte[] envelope() {
    return envelope.clone();
  }

  EncryptionContext context() {
    return context;
  }

  String place() {
    return place;
  }

  /** The context that an attacker would need the envelope to open with. */
  EncryptionContext elsewhere() {
    Map<String, String> pairs = new HashMap<>(context.asMap());
    pairs.compute(place, (key, value) -> "not " + value);
    return EncryptionContext.of(pairs);
  }
}
