package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.keyset.Keysets;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Moves all records of some sources to the primary key version by replacing their headers, and says
 * what is left.
 *
 * <p>Records are scanned in batches. The headers of a batch are verified and rewrapped, each is
 * replaced by compare-and-set, and then the checkpoint is saved: a job that is killed at any moment
 * leaves every record with its old or its new header, and the next run with the same checkpoint
 * does at most one batch again. A record that cannot be moved is reported and does not stop the
 * others; a failure that is no record's (root key, store, source, checkpoint) is waited for and
 * then stops the job with a {@link RewrapException}.
 *
 * <p>A record counts as moved or as there already only after its data key has been unwrapped and
 * compared with its commitment. Nothing of the payload is read, so a body that is damaged stays
 * unnoticed, unless {@link #verify} is given a check.
 *
 * <p>Owns nothing: sources, checkpoint and the {@code Kms} stay the caller's to close. One run at a
 * time; runs of different processes over the same records do each other no harm.
 */
public final class Rewrapper {
  private final Keysets keysets;
  private final Map<KeysetId, EnvelopeCipher> ciphers;
  private final List<EnvelopeSource> sources;
  private final @Nullable RewrapCheckpoint checkpoint;
  private final RewrapListener listener;
  private final @Nullable EnvelopeCheck check;
  private final @Nullable EnvelopeContexts contexts;
  private final int batchSize;
  private final int workers;
  private final int recordsPerSecond;
  private final Duration patience;
  private final Duration settlingTime;

  private Rewrapper(Builder builder) {
    this.keysets = builder.keysets;
    this.ciphers = Collections.unmodifiableMap(new TreeMap<>(builder.ciphers));
    this.sources = List.copyOf(builder.sources);
    this.checkpoint = builder.checkpoint;
    this.listener = builder.listener;
    this.check = builder.check;
    this.contexts = builder.contexts;
    this.batchSize = builder.batchSize;
    this.workers = builder.workers;
    this.recordsPerSecond = builder.recordsPerSecond;
    this.patience = builder.patience;
    this.settlingTime = builder.settlingTime;
  }

  /**
   * Starts to describe a job. {@code Kms.rewrapper} is the short way.
   *
   * @param keysets tells the primaries
   * @param ciphers of the keysets whose records are to be moved; records that name another keyset
   *     are left alone. Never made from names in the data
   */
  public static Builder builder(Keysets keysets, List<EnvelopeCipher> ciphers) {
    return new Builder(keysets, ciphers);
  }

  /**
   * Moves every record to the primary of its keyset.
   *
   * @throws RewrapException if it cannot start, or stops before its end; see the reason, and run it
   *     again with the same checkpoint
   */
  public RewrapReport run() {
    return new RewrapRun(this, RewrapJob.MOVE).run();
  }

  /**
   * Does all that {@link #run} does but write to the sources: what is reported as moved would be
   * moved.
   *
   * @throws RewrapException as {@link #run} does
   */
  public RewrapReport dryRun() {
    return new RewrapRun(this, RewrapJob.DRY_RUN).run();
  }

  /**
   * Checks that every header unwraps and commits to its data key and, if a {@linkplain
   * Builder#check check} is given, that the record passes it; writes nothing to the sources. After
   * a move, everything should be there already.
   *
   * @throws RewrapException as {@link #run} does
   */
  public RewrapReport verify() {
    return new RewrapRun(this, RewrapJob.VERIFY).run();
  }

  Keysets keysets() {
    return keysets;
  }

  /** Ascending by name. */
  Map<KeysetId, EnvelopeCipher> ciphers() {
    return ciphers;
  }

  List<EnvelopeSource> sources() {
    return sources;
  }

  @Nullable RewrapCheckpoint checkpoint() {
    return checkpoint;
  }

  RewrapListener listener() {
    return listener;
  }

  @Nullable EnvelopeCheck check() {
    return check;
  }

  @Nullable EnvelopeContexts contexts() {
    return contexts;
  }

  int workers() {
    return workers;
  }

  int recordsPerSecond() {
    return recordsPerSecond;
  }

  /** A slow job takes smaller batches, so that no batch is worth more than a second. */
  int recordsPerBatch() {
    return recordsPerSecond == 0 ? batchSize : Math.min(batchSize, recordsPerSecond);
  }

  Duration patience() {
    return patience;
  }

  Duration settlingTime() {
    return settlingTime;
  }

  /** Collects the parts of a {@link Rewrapper}. For one thread. */
  public static final class Builder {
    private static final int MAX_BATCH = 100_000;
    private static final int MAX_WORKERS = 64;

    private final Keysets keysets;
    private final Map<KeysetId, EnvelopeCipher> ciphers = new TreeMap<>();
    private final List<EnvelopeSource> sources = new ArrayList<>();
    private @Nullable RewrapCheckpoint checkpoint;
    private RewrapListener listener = new RewrapListener() {};
    private @Nullable EnvelopeCheck check;
    private @Nullable EnvelopeContexts contexts;
    private int batchSize = 1000;
    private int workers = 1;
    private int recordsPerSecond;
    private Duration patience = Duration.ofMinutes(2);
    private Duration settlingTime = Duration.ofHours(3);

    private Builder(Keysets keysets, List<EnvelopeCipher> ciphers) {
      this.keysets = Objects.requireNonNull(keysets, "keysets");
      Objects.requireNonNull(ciphers, "ciphers");
      ciphers.forEach(cipher -> this.ciphers.put(cipher.keyset(), cipher));
    }

    /** Where records are; may be called for several, which are scanned in that order. Required. */
    public Builder source(EnvelopeSource source) {
      sources.add(Objects.requireNonNull(source, "source"));
      return this;
    }

    /**
     * Where to keep how far the job is. Without one, a run that is killed starts from the beginning
     * (which is safe, and slow), and no report ever calls a version safe to destroy.
     */
    public Builder checkpoint(RewrapCheckpoint checkpoint) {
      this.checkpoint = Objects.requireNonNull(checkpoint, "checkpoint");
      return this;
    }

    /** Told of progress, failures and pauses; nobody if not set. */
    public Builder listener(RewrapListener listener) {
      this.listener = Objects.requireNonNull(listener, "listener");
      return this;
    }

    /** What {@link Rewrapper#verify} asks of each record besides its header; nothing if not set. */
    public Builder check(EnvelopeCheck check) {
      this.check = Objects.requireNonNull(check, "check");
      return this;
    }

    /**
     * Re-encrypts records of {@code COMPROMISED} versions, which otherwise are failures: each gets
     * a new data key and a new ciphertext, by compare-and-set like a header, and is counted by
     * {@link RewrapCounts#reencrypted}. A record that does not open in its context is a failure and
     * stays as it is. A dry run counts such records and opens none; a check goes on to call them
     * failures.
     *
     * <p>Re-encryption gives no proof of origin. Who has the key can forge what it moves, also in
     * the place of records that are long under a good version: first take from them what write
     * access they have.
     *
     * @param contexts tells in which context a record was encrypted
     */
    public Builder reencryptCompromised(EnvelopeContexts contexts) {
      this.contexts = Objects.requireNonNull(contexts, "contexts");
      return this;
    }

    /**
     * Records in a batch: what is written in one go, and done again after a kill; 1,000 if not set.
     *
     * @throws IllegalArgumentException if not within 1 and 100,000
     */
    public Builder batchSize(int records) {
      this.batchSize = within(1, MAX_BATCH, records, "batch size");
      return this;
    }

    /**
     * Threads that share each batch; 1 if not set. One more reads ahead.
     *
     * @throws IllegalArgumentException if not within 1 and 64
     */
    public Builder workers(int threads) {
      this.workers = within(1, MAX_WORKERS, threads, "workers");
      return this;
    }

    /**
     * At most so many records in a second, to leave the database some air; no limit if not set.
     *
     * @throws IllegalArgumentException if less than 1
     */
    public Builder recordsPerSecond(int records) {
      this.recordsPerSecond = within(1, Integer.MAX_VALUE, records, "records per second");
      return this;
    }

    /**
     * How long one call to root key, store, source or checkpoint is repeated before the job stops;
     * two minutes if not set.
     *
     * @throws IllegalArgumentException if negative
     */
    public Builder patience(Duration patience) {
      if (Objects.requireNonNull(patience, "patience").isNegative()) {
        throw new IllegalArgumentException("patience must not be negative, got " + patience);
      }
      this.patience = patience;
      return this;
    }

    /**
     * How long a process may go on writing under an old primary; three hours if not set. That is
     * the hard time to live of key versions, two hours by default, for a process that is cut off
     * from the keyset store, and an hour for what it has encrypted and not yet stored. Make it
     * longer if yours differ, or if streams, queues or transactions last longer.
     *
     * @throws IllegalArgumentException if negative
     */
    public Builder settlingTime(Duration time) {
      if (Objects.requireNonNull(time, "settling time").isNegative()) {
        throw new IllegalArgumentException("settling time must not be negative, got " + time);
      }
      this.settlingTime = time;
      return this;
    }

    private static int within(int least, int most, int value, String what) {
      if (value < least || value > most) {
        throw new IllegalArgumentException(
            what + " must be " + least + " to " + most + ", got " + value);
      }
      return value;
    }

    /**
     * The job. Nothing is read before it runs.
     *
     * @throws IllegalStateException if there is no source or no keyset, or it re-encrypts and a
     *     source is no {@link WholeEnvelopeSource}
     */
    public Rewrapper build() {
      if (sources.isEmpty() || ciphers.isEmpty()) {
        throw new IllegalStateException(
            "a rewrapper needs a " + (sources.isEmpty() ? "source" : "keyset"));
      }
      for (EnvelopeSource source : sources) {
        if (contexts != null && !(source instanceof WholeEnvelopeSource)) {
          throw new IllegalStateException(
              "to re-encrypt, "
                  + source.identity()
                  + " must be a WholeEnvelopeSource; make it one, or leave it to a job of its own");
        }
      }
      return new Rewrapper(this);
    }
  }
}
