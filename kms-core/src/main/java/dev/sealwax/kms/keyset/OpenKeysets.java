package dev.sealwax.kms.keyset;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.vocabulary.CachePolicy;
import dev.sealwax.kms.vocabulary.CacheStatistics;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.KmsListener;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** SEAM. */
public final class OpenKeysets implements AutoCloseable {
  private OpenKeysets() {}

  public static OpenKeysets open(
      KeysetStore store,
      RootKey rootKey,
      CachePolicy keyVersions,
      Duration refreshInterval,
      Clock wallClock,
      LongSupplier nanoClock,
      Executor refresher,
      SecureRandom random,
      @Nullable KmsListener listener) {
    return new OpenKeysets();
  }

  public OpenKeyset open(KeysetId id) {
    return new OpenKeyset(id);
  }

  /** The operator's verbs over these keysets. */
  public Keysets keysets() {
    throw new UnsupportedOperationException();
  }

  public CacheStatistics keyVersionStatistics() {
    throw new UnsupportedOperationException();
  }

  public long rootUnwraps() {
    return 0;
  }

  public long rootWraps() {
    return 0;
  }

  @Override
  public void close() {}
}
