package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.guard.DaemonThreads;
import dev.sealwax.kms.keyset.KeyUse;
import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.RewrapException;
import dev.sealwax.kms.vocabulary.RewrapException.Reason;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One run of a job, on the caller's thread and the workers'.
 *
 * <p>Batches are done one after the other, each by all workers together, and the checkpoint is
 * saved after each; the next batch is read meanwhile. So the position never runs ahead of what is
 * done, however many workers there are, and a kill costs one batch. For one thread; use it once.
 */
final class RewrapRun {
  private static final int FAILURES_KEPT = 1000;

  private final Rewrapper rewrapper;
  private final RewrapJob job;
  private final Patience patience;
  private final RateLimit rate;
  private final ExecutorService threads;
  private final Tally tally = new Tally();
  private final List<RewrapFailure> failures = new ArrayList<>();
  private final long startedNanos = System.nanoTime();

  // Set by begin().
  private List<MoveTarget> targets = List.of();
  private List<String> identities = List.of();
  private Instant startedAt = Instant.EPOCH;
  private long scannedBefore;
  private OptionalLong total = OptionalLong.empty();

  RewrapRun(Rewrapper rewrapper, RewrapJob job) {
    this.rewrapper = rewrapper;
    this.job = job;
    this.patience = new Patience(rewrapper.patience(), rewrapper.listener());
    this.rate = new RateLimit(rewrapper.recordsPerSecond());
    // One more than the workers: it reads ahead.
    this.threads =
        Executors.newFixedThreadPool(
            rewrapper.workers() + 1, DaemonThreads.factory("sealwax-rewrap"));
  }

  RewrapReport run() {
    try {
      Map<KeysetId, Keyset> keysets = readKeysets();
      RewrapState resumed = begin(keysets);
      List<EnvelopeSource> sources = rewrapper.sources();
      HeaderMove headers = new HeaderMove(rewrapper.ciphers(), primaries());
      EnvelopeContexts contexts = rewrapper.contexts();
      Reencryption reencryption =
          contexts == null
              ? null
              : new Reencryption(contexts, rewrapper.ciphers(), headers, patience);
      String position = resumed == null ? null : resumed.position();
      for (int at = resumed == null ? 0 : resumed.at(); at < sources.size(); at++) {
        walk(at, position, headers, reencryption);
        position = null;
      }
      return end(resumed != null);
    } finally {
      stopThreads();
    }
  }

  // --- begin and end ---

  private Map<KeysetId, Keyset> readKeysets() {
    Map<KeysetId, Keyset> keysets = new TreeMap<>();
    for (KeysetId id : rewrapper.ciphers().keySet()) {
      keysets.put(
          id,
          patience.call(
              Reason.KEYS_UNAVAILABLE,
              "keyset " + id + " cannot be read",
              () -> rewrapper.keysets().get(id.value())));
    }
    return keysets;
  }

  private @Nullable RewrapState begin(Map<KeysetId, Keyset> keysets) {
    identities = rewrapper.sources().stream().map(EnvelopeSource::identity).toList();
    startedAt = Instant.now().truncatedTo(ChronoUnit.SECONDS);
    RewrapState saved = load();
    targets = keysets.values().stream().map(keyset -> target(keyset, saved)).toList();
    for (Keyset keyset : keysets.values()) {
      patience.call(
          Reason.KEYS_UNAVAILABLE,
          "keyset " + keyset.id() + " cannot be moved to its primary",
          () -> {
            keyset.requireUse(keyset.primary(), KeyUse.ENCRYPT);
            return keyset;
          });
    }
    total = total();
    if (saved == null || saved.isComplete()) {
      return null;
    }
    startedAt = saved.startedAt();
    scannedBefore = saved.counts().scanned();
    tally.add(saved.counts(), saved.versions());
    return saved;
  }

  private @Nullable RewrapState load() {
    RewrapCheckpoint checkpoint = rewrapper.checkpoint();
    if (checkpoint == null) {
      return null;
    }
    Optional<String> text =
        patience.call(
            Reason.CHECKPOINT_UNAVAILABLE, "the checkpoint cannot be read", checkpoint::load);
    if (text.isEmpty()) {
      return null;
    }
    RewrapState saved = RewrapStateText.read(text.get());
    if (!saved.sources().equals(identities)) {
      throw otherJob("the checkpoint is of other sources");
    }
    if (!saved.targets().stream()
        .map(MoveTarget::keyset)
        .toList()
        .equals(List.copyOf(rewrapper.ciphers().keySet()))) {
      throw otherJob("the checkpoint is of other keysets");
    }
    if (!saved.isComplete() && saved.job() != job) {
      throw otherJob("the checkpoint is of a job " + saved.job() + ", this is " + job);
    }
    return saved;
  }

  private MoveTarget target(Keyset keyset, @Nullable RewrapState saved) {
    Instant since = startedAt;
    if (saved != null) {
      MoveTarget before =
          saved.targets().stream()
              .filter(target -> target.keyset().equals(keyset.id()))
              .findFirst()
              .orElseThrow();
      if (before.primary() != keyset.primary() && !saved.isComplete()) {
        throw otherJob(
            "keyset "
                + keyset.id()
                + " had primary "
                + before.primary()
                + " when the checkpoint was written and has "
                + keyset.primary()
                + " now");
      }
      // The same primary may not have been it all the time. Not the revision: counts change it.
      if (before.primary() == keyset.primary() && before.primarySince() == primarySince(keyset)) {
        since = before.since();
      }
    }
    return new MoveTarget(keyset.id(), keyset.primary(), primarySince(keyset), since);
  }

  private static long primarySince(Keyset keyset) {
    return keyset
        .version(keyset.primary())
        .flatMap(KeyVersion::primaryAt)
        .orElseThrow()
        .getEpochSecond();
  }

  private static RewrapException otherJob(String problem) {
    return new RewrapException(
        Reason.OTHER_JOB, problem + "; use its own, or delete it to scan from the beginning", null);
  }

  private OptionalLong total() {
    long sum = 0;
    for (EnvelopeSource source : rewrapper.sources()) {
      OptionalLong size =
          patience.call(
              Reason.SOURCE_UNAVAILABLE, source.identity() + " cannot be read", source::size);
      if (size.isEmpty()) {
        return size;
      }
      sum += size.getAsLong();
    }
    return OptionalLong.of(sum);
  }

  private Map<KeysetId, Integer> primaries() {
    Map<KeysetId, Integer> primaries = new TreeMap<>();
    targets.forEach(target -> primaries.put(target.keyset(), target.primary()));
    return primaries;
  }

  private RewrapReport end(boolean wasResumed) {
    Instant now = Instant.now().truncatedTo(ChronoUnit.SECONDS);
    List<Keyset> keysets = List.copyOf(readKeysets().values());
    List<MoveTarget> last = new ArrayList<>();
    for (int i = 0; i < keysets.size(); i++) {
      MoveTarget target = targets.get(i);
      Keyset keyset = keysets.get(i);
      boolean unchanged =
          keyset.primary() == target.primary() && primarySince(keyset) == target.primarySince();
      last.add(
          unchanged
              ? target
              : new MoveTarget(keyset.id(), keyset.primary(), primarySince(keyset), now));
    }
    targets = last;
    save(identities.size(), null);
    return new RewrapReport(
        job,
        identities,
        startedAt,
        now,
        wasResumed,
        tally.counts(),
        tally.versions(),
        failures,
        keysets,
        last,
        rewrapper.settlingTime());
  }

  // --- the walk ---

  private void walk(
      int at, @Nullable String start, HeaderMove headers, @Nullable Reencryption reencryption) {
    EnvelopeSource source = rewrapper.sources().get(at);
    Future<List<EnvelopeRecord>> ahead = scan(source, start);
    while (true) {
      List<EnvelopeRecord> batch = result(ahead);
      if (batch.isEmpty()) {
        return;
      }
      rate.take(batch.size());
      String position = batch.get(batch.size() - 1).id();
      ahead = scan(source, position);
      doBatch(source, batch, headers, reencryption);
      save(at, position);
      rewrapper.listener().onProgress(progress());
    }
  }

  private Future<List<EnvelopeRecord>> scan(EnvelopeSource source, @Nullable String after) {
    return threads.submit(
        () ->
            patience.call(
                Reason.SOURCE_UNAVAILABLE,
                source.identity() + " cannot be read",
                () -> source.scan(after, rewrapper.recordsPerBatch())));
  }

  private void doBatch(
      EnvelopeSource source,
      List<EnvelopeRecord> batch,
      HeaderMove headers,
      @Nullable Reencryption reencryption) {
    int workers = Math.min(rewrapper.workers(), batch.size());
    List<Slice> slices = new ArrayList<>();
    for (int i = 0; i < workers; i++) {
      List<EnvelopeRecord> records =
          batch.subList(batch.size() * i / workers, batch.size() * (i + 1) / workers);
      slices.add(
          new Slice(job, source, records, headers, reencryption, rewrapper.check(), patience));
    }
    // All of them are waited for, also when one fails: nothing may write once we are back.
    for (Future<Slice> slice : all(slices)) {
      Slice done = result(slice);
      tally.add(done.tally);
      for (RewrapFailure failure : done.failures) {
        if (failures.size() < FAILURES_KEPT) {
          failures.add(failure);
        }
        rewrapper.listener().onFailure(failure);
      }
    }
  }

  private List<Future<Slice>> all(List<Slice> slices) {
    try {
      return threads.invokeAll(slices);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Patience.interrupted();
    }
  }

  private static <T> T result(Future<T> future) {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Patience.interrupted();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException failure) {
        throw failure;
      }
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  private void save(int at, @Nullable String position) {
    RewrapCheckpoint checkpoint = rewrapper.checkpoint();
    if (checkpoint == null) {
      return;
    }
    RewrapState state =
        new RewrapState(
            job, startedAt, identities, at, position, targets, tally.counts(), tally.versions());
    String text = RewrapStateText.write(state);
    patience.call(
        Reason.CHECKPOINT_UNAVAILABLE,
        "the checkpoint cannot be written",
        () -> {
          checkpoint.save(text);
          return text;
        });
  }

  private RewrapProgress progress() {
    RewrapCounts counts = tally.counts();
    double seconds = Math.max(1e-3, (System.nanoTime() - startedNanos) / 1e9);
    double perSecond = (counts.scanned() - scannedBefore) / seconds;
    Optional<Duration> remaining =
        total.isPresent() && perSecond > 0
            ? Optional.of(
                Duration.ofMillis(
                    (long) (1000 * Math.max(0, total.getAsLong() - counts.scanned()) / perSecond)))
            : Optional.empty();
    return new RewrapProgress(counts, total, perSecond, remaining);
  }

  private void stopThreads() {
    threads.shutdownNow();
    boolean interrupted = false;
    try {
      // A worker that was interrupted in a call of its source may take its time to notice.
      while (true) {
        try {
          if (!threads.awaitTermination(1, TimeUnit.MINUTES)) {
            throw new IllegalStateException("a worker does not stop; its source hangs");
          }
          return;
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
