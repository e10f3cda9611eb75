package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import dev.sealwax.kms.vocabulary.RootKeyException.Reason;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;

/**
 * Stands between root keys and the service that has them: counts the calls, and gives the service a
 * fault. For any thread.
 */
final class FaultSwitch {
  static final int SLOW_MILLIS = 300;
  private static final int LOOK_MILLIS = 20;

  private final LongAdder calls = new LongAdder();
  private volatile Fault fault = Fault.NONE;

  /** From now on, and for calls that hang now. */
  void set(Fault next) {
    fault = next;
  }

  /** Calls so far, by all root keys behind this. */
  long calls() {
    return calls.sum();
  }

  /** The same root key behind this switch, which closes it. */
  RootKey over(RootKey rootKey) {
    return new Switched(rootKey);
  }

  private void call() {
    calls.increment();
    try {
      if (fault == Fault.SLOW) {
        Thread.sleep(SLOW_MILLIS);
      }
      while (fault == Fault.HANGING) {
        Thread.sleep(LOOK_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RootKeyException(Reason.UNAVAILABLE, "interrupted", e);
    }
    Reason reason = fault.reason;
    if (reason != null) {
      throw new RootKeyException(reason, "this fault was switched on");
    }
  }

  private final class Switched implements RootKey {
    private final RootKey rootKey;

    private Switched(RootKey rootKey) {
      this.rootKey = rootKey;
    }

    @Override
    public RootKeyId currentKeyId() {
      return rootKey.currentKeyId();
    }

    @Override
    public Set<String> tags() {
      return rootKey.tags();
    }

    @Override
    public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
      call();
      return rootKey.wrap(key, context);
    }

    @Override
    public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
      call();
      return rootKey.unwrap(wrapped, context);
    }

    @Override
    public void close() {
      rootKey.close();
    }
  }
}
