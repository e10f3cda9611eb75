package dev.sealwax.kms.testkit;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RootKeyRule;
import dev.sealwax.kms.rootkey.WrappedKey;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * A root key that counts calls and misbehaves by script: each call takes the next fault of {@link
 * #next}, or, once these are used up, the one of {@link #always}. Owns and closes the root key it
 * wraps; safe for concurrent use.
 */
public final class FaultyRootKey implements RootKey {
  /**
   * What goes wrong with one call. Safe for concurrent use; one that counts calls, such as {@link
   * #throttling}, counts those of all root keys that it is given to.
   */
  public static final class Fault {
    /** Nothing goes wrong. */
    public static final Fault NONE = new Fault(() -> {}, Answer.RIGHT);

    /** What the root key makes of its answer. */
    private interface Answer {
      Answer RIGHT = new Answer() {};

      /** What to wrap instead; stays its owner's. */
      default KeyMaterial wrapping(KeyMaterial asked) {
        return asked;
      }

      default WrappedKey wrapped(WrappedKey right) {
        return right;
      }

      /** What to return instead; takes {@code right} over. */
      default KeyMaterial unwrapped(KeyMaterial right) {
        return right;
      }
    }

    private static final Answer ALTERED =
        new Answer() {
          @Override
          public WrappedKey wrapped(WrappedKey right) {
            return WrappedKey.of(right.rootKeyId(), altered(right.ciphertext()));
          }

          @Override
          public KeyMaterial unwrapped(KeyMaterial right) {
            try (right) {
              return KeyMaterial.owning(altered(right.use(byte[]::clone)));
            }
          }

          private static byte[] altered(byte[] bytes) {
            bytes[bytes.length - 1] ^= 1;
            return bytes;
          }
        };

    private final Runnable before;
    private final Answer answer;
    private final Supplier<Fault> choice;

    private Fault(Runnable before, Answer answer) {
      this.before = before;
      this.answer = answer;
      this.choice = () -> this;
    }

    private Fault(Supplier<Fault> choice) {
      this.before = () -> {};
      this.answer = Answer.RIGHT;
      this.choice = choice;
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

    /** The call takes this much longer, or fails as unavailable if it is interrupted. */
    public static Fault delaying(Duration latency) {
      return new Fault(() -> interruptibly(() -> Thread.sleep(latency.toMillis())), Answer.RIGHT);
    }

    /** The same fault after the call has taken this much longer. */
    public Fault after(Duration latency) {
      return delaying(latency).then(this);
    }

    /** Both in turn: this one, and if the call has survived it, {@code next} with its answer. */
    public Fault then(Fault next) {
      return new Fault(
          () -> {
            Fault first = chosen();
            Fault second = next.chosen();
            return new Fault(
                () -> {
                  first.before.run();
                  second.before.run();
                },
                second.answer);
          });
    }

    /**
     * The call hangs until {@code release} is counted down, then succeeds; it fails as unavailable
     * if it is interrupted.
     */
    public static Fault hanging(CountDownLatch release) {
      return new Fault(() -> interruptibly(release::await), Answer.RIGHT);
    }

    /** As {@link #hanging}, and no interrupt ends it: as in native code. */
    public static Fault hangingDeaf(CountDownLatch release) {
      return new Fault(
          () -> {
            boolean interrupted = false;
            while (true) {
              try {
                release.await();
                break;
              } catch (InterruptedException e) {
                interrupted = true;
              }
            }
            if (interrupted) {
              Thread.currentThread().interrupt();
            }
          },
          Answer.RIGHT);
    }

    /** {@code unwrap} returns another secret of the same length; {@code wrap} what never opens. */
    public static Fault answeringWrongly() {
      return new Fault(() -> {}, ALTERED);
    }

    /**
     * {@code unwrap} returns, and {@code wrap} seals, {@code other} instead of the right secret: a
     * root key that takes one key for another.
     *
     * @param other stays the caller's, open as long as the fault is in use
     */
    public static Fault answeringWith(KeyMaterial other) {
      return new Fault(
          () -> {},
          new Answer() {
            @Override
            public KeyMaterial wrapping(KeyMaterial asked) {
              return other;
            }

            @Override
            public KeyMaterial unwrapped(KeyMaterial right) {
              right.close();
              return other.use(KeyMaterial::copyOf);
            }
          });
    }

    /**
     * In any {@code period} only {@code calls} go through, the others fail as throttled: the quota
     * of a service.
     */
    public static Fault throttling(int calls, Duration period) {
      return throttling(calls, period, System::nanoTime);
    }

    /** As {@link #throttling(int, Duration)} by a clock of the test's. */
    public static Fault throttling(int calls, Duration period, LongSupplier nanoClock) {
      Fault refusal = failing(RootKeyException.Reason.THROTTLED);
      Queue<Long> let = new ArrayDeque<>();
      return new Fault(
          () -> {
            synchronized (let) {
              long now = nanoClock.getAsLong();
              while (!let.isEmpty() && now - let.element() >= period.toNanos()) {
                let.remove();
              }
              return let.size() < calls && let.add(now) ? NONE : refusal;
            }
          });
    }

    /** {@code well} calls succeed, then {@code badly} calls meet {@code fault}, and so on. */
    public static Fault flapping(int well, int badly, Fault fault) {
      AtomicLong calls = new AtomicLong();
      return new Fault(() -> calls.getAndIncrement() % (well + badly) < well ? NONE : fault);
    }

    /**
     * Each call meets one of {@code faults} with a chance of {@code percent} in 100. Which of the
     * calls do, counted in the order in which they begin, depends on {@code seed} alone.
     */
    public static Fault randomly(long seed, int percent, Fault... faults) {
      AtomicLong calls = new AtomicLong();
      List<Fault> all = List.of(faults);
      return new Fault(
          () -> {
            SplittableRandom random =
                new SplittableRandom(
                    new SplittableRandom(seed).nextLong() + calls.getAndIncrement());
            return random.nextInt(100) < percent ? all.get(random.nextInt(all.size())) : NONE;
          });
    }

    private Fault chosen() {
      Fault fault = this;
      for (Fault next = choice.get(); next != fault; next = fault.choice.get()) {
        fault = next;
      }
      return fault;
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
  private final AtomicInteger closes = new AtomicInteger();
  private final AtomicInteger underWay = new AtomicInteger();
  private final AtomicInteger mostAtOnce = new AtomicInteger();
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

  /** Calls of {@link #close} so far. */
  public int closes() {
    return closes.get();
  }

  /** Calls of {@link #wrap} and {@link #unwrap} that have begun and not ended. */
  public int underWay() {
    return underWay.get();
  }

  /** The most calls that have been under way at the same time. */
  public int mostAtOnce() {
    return mostAtOnce.get();
  }

  @Override
  public RootKeyId currentKeyId() {
    return target.currentKeyId();
  }

  @Override
  public Set<String> tags() {
    return target.tags();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return wrap(key, context, RootKeyRule.any());
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    return counted(
        wraps,
        fault -> fault.answer.wrapped(target.wrap(fault.answer.wrapping(key), context, rule)));
  }

  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    return counted(unwraps, fault -> fault.answer.unwrapped(target.unwrap(wrapped, context)));
  }

  private <T> T counted(AtomicInteger calls, Function<Fault, T> call) {
    // First, so that whoever sees a call counted knows that it has its fault.
    Fault scripted = script.poll();
    Fault fault = (scripted != null ? scripted : always).chosen();
    calls.incrementAndGet();
    int now = underWay.incrementAndGet();
    mostAtOnce.accumulateAndGet(now, Math::max);
    try {
      fault.before.run();
      return call.apply(fault);
    } finally {
      underWay.decrementAndGet();
    }
  }

  @Override
  public void close() {
    closes.incrementAndGet();
    target.close();
  }
}
