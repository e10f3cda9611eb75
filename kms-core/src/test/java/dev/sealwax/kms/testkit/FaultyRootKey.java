package dev.sealwax.kms.testkit;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A root key that counts calls and misbehaves by script: each call takes the next fault of {@link
 * #next}, or, once these are used up, the one of {@link #always}. Owns and closes the root key it
 * wraps; safe for concurrent use.
 */
public final class FaultyRootKey implements RootKey {
  /** What goes wrong with one call. */
  public static final class Fault {
    /** Nothing goes wrong. */
    public static final Fault NONE = new Fault(() -> {}, Answer.RIGHT);

    private enum Answer {
      RIGHT,
      WRONG
    }

    private final Runnable before;
    private final Answer answer;

    private Fault(Runnable before, Answer answer) {
      this.before = before;
      this.answer = answer;
    }

    /** The call fails with this reason and never reaches the real root key. */
    public static Fault failing(RootKeyException.Reason reason) {
      return new Fault(
          () -> {
            throw new RootKeyException(reason, "scripted fault");
          },
          Answer.RIGHT);
    }

    /** The call fails with an exception that the SPI does not allow. */
    public static Fault throwing(RuntimeException failure) {
      return new Fault(
          () -> {
            throw failure;
          },
          Answer.RIGHT);
    }

    /** The call takes this much longer. */
    public static Fault delaying(Duration latency) {
      return new Fault(() -> interruptibly(() -> Thread.sleep(latency.toMillis())), Answer.RIGHT);
    }

    /** The same fault after the call has taken this much longer. */
    public Fault after(Duration latency) {
      Fault delay = delaying(latency);
      return new Fault(
          () -> {
            delay.before.run();
            before.run();
          },
          answer);
    }

    /** The call hangs until {@code release} is counted down, then succeeds. */
    public static Fault hanging(CountDownLatch release) {
      return new Fault(() -> interruptibly(release::await), Answer.RIGHT);
    }

    /** {@code unwrap} returns another secret of the same length; {@code wrap} what never opens. */
    public static Fault answeringWrongly() {
      return new Fault(() -> {}, Answer.WRONG);
    }

    private interface Blocking {
      void run() throws InterruptedException;
    }

    private static void interruptibly(Blocking blocking) {
      try {
        blocking.run();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new RootKeyException(RootKeyException.Reason.UNAVAILABLE, "interrupted", e);
      }
    }
  }

  private final RootKey target;
  private final Queue<Fault> script = new ConcurrentLinkedQueue<>();
  private final AtomicInteger wraps = new AtomicInteger();
  private final AtomicInteger unwraps = new AtomicInteger();
  private volatile Fault always = Fault.NONE;

  private FaultyRootKey(RootKey target) {
    this.target = target;
  }

  /** Decorates {@code target}, whose ownership passes. */
  public static FaultyRootKey around(RootKey target) {
    return new FaultyRootKey(target);
  }

  /** Lets each of the next calls, wrap or unwrap alike, meet one of these faults in order. */
  public FaultyRootKey next(Fault... faults) {
    script.addAll(List.of(faults));
    return this;
  }

  /** Lets every call that has no {@link #next} fault meet this one; {@link Fault#NONE} heals. */
  public FaultyRootKey always(Fault fault) {
    always = fault;
    return this;
  }

  /** Calls of {@link #wrap} so far, failed ones included. */
  public int wraps() {
    return wraps.get();
  }

  /** Calls of {@link #unwrap} so far, failed ones included. */
  public int unwraps() {
    return unwraps.get();
  }

  @Override
  public RootKeyId currentKeyId() {
    return target.currentKeyId();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    wraps.incrementAndGet();
    Fault fault = meetFault();
    WrappedKey right = target.wrap(key, context);
    return fault.answer == Fault.Answer.RIGHT
        ? right
        : WrappedKey.of(right.rootKeyId(), altered(right.ciphertext()));
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    unwraps.incrementAndGet();
    Fault fault = meetFault();
    KeyMaterial right = target.unwrap(wrapped, context);
    if (fault.answer == Fault.Answer.RIGHT) {
      return right;
    }
    try (right) {
      return KeyMaterial.owning(altered(right.use(byte[]::clone)));
    }
  }

  private Fault meetFault() {
    Fault scripted = script.poll();
    Fault fault = scripted != null ? scripted : always;
    fault.before.run();
    return fault;
  }

  private static byte[] altered(byte[] bytes) {
    bytes[bytes.length - 1] ^= 1;
    return bytes;
  }

  @Override
  public void close() {
    target.close();
  }
}
