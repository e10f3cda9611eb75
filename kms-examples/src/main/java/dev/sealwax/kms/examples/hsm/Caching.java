package dev.sealwax.kms.examples.hsm;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;

/** What stays unwrapped in memory, which decides how often the root key is called. */
enum Caching {
  DATA_KEYS("data keys cached"),
  KEY_VERSIONS("a data key per message"),
  NOTHING("nothing cached");

  /** After this time a key version is unwrapped anew; the library's own default. */
  static final Duration RENEWED_AFTER = Duration.ofMinutes(30);

  private static final CachePolicy VERSIONS =
      CachePolicy.of(RENEWED_AFTER, Duration.ofHours(2), 100_000);

  final String label;

  Caching(String label) {
    this.label = label;
  }

  Kms.Builder configure(Kms.Builder builder) {
    return switch (this) {
      case DATA_KEYS -> builder.keyVersions(VERSIONS);
      case KEY_VERSIONS -> builder.keyVersions(VERSIONS).dataKeys(DataKeyPolicy.singleUse());
      case NOTHING -> builder.strict();
    };
  }
}
