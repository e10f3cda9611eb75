package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.rewrap.HeaderMove.Decision;
import dev.sealwax.kms.rewrap.RewrapFailure.Reason;
import dev.sealwax.kms.vocabulary.DecryptionFailedException;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import dev.sealwax.kms.vocabulary.KeysetId;
import dev.sealwax.kms.vocabulary.MalformedEnvelopeException;
import dev.sealwax.kms.vocabulary.RewrapException;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/** One worker's part of a batch. For one thread; owned by {@link RewrapRun}. */
final class Slice implements Callable<Slice> {
  /** How often a record that changes under our hands is read anew. */
  private static final int ATTEMPTS = 5;

  private final RewrapJob job;
  private final EnvelopeSource source;
  private final List<EnvelopeRecord> records;
  private final HeaderMove headers;
  private final @Nullable Reencryption reencryption;
  private final @Nullable EnvelopeCheck check;
  private final Patience patience;

  final Tally tally = new Tally();
  final List<RewrapFailure> failures = new ArrayList<>();

  Slice(
      RewrapJob job,
      EnvelopeSource source,
      List<EnvelopeRecord> records,
      HeaderMove headers,
      @Nullable Reencryption reencryption,
      @Nullable EnvelopeCheck check,
      Patience patience) {
    this.job = job;
    this.source = source;
    this.records = records;
    this.headers = headers;
    this.reencryption = reencryption;
    this.check = check;
    this.patience = patience;
  }

  @Override
  public Slice call() {
    List<Decision> moves = new ArrayList<>();
    IdentityHashMap<EnvelopeRecord, Decision> others = new IdentityHashMap<>();
    for (EnvelopeRecord record : records) {
      Decision decision = decide(record);
      if (decision.kind() == HeaderMove.Kind.MOVE && job == RewrapJob.MOVE) {
        moves.add(decision);
      } else {
        others.put(record, decision);
      }
    }
    // First, while what allowed the new headers is milliseconds old; a re-encryption takes long.
    if (!moves.isEmpty()) {
      List<ReplaceOutcome> outcomes = replace(moves);
      for (int i = 0; i < moves.size(); i++) {
        finish(moves.get(i), outcomes.get(i), ATTEMPTS);
      }
    }
    for (EnvelopeRecord record : records) {
      Decision decision = others.get(record);
      if (decision != null) {
        settle(record, decision, ATTEMPTS);
      }
    }
    return this;
  }

  private Decision decide(EnvelopeRecord record) {
    return patience.call(
        RewrapException.Reason.KEYS_UNAVAILABLE,
        "a key version cannot be had",
        () -> headers.decide(record));
  }

  private List<ReplaceOutcome> replace(List<Decision> moves) {
    List<HeaderChange> changes = moves.stream().map(Slice::change).toList();
    List<ReplaceOutcome> outcomes =
        ofSource("cannot be written", () -> source.replaceHeaders(changes));
    if (outcomes.size() != changes.size()) {
      throw new RewrapException(
          RewrapException.Reason.SOURCE_UNAVAILABLE,
          source.identity()
              + " told "
              + outcomes.size()
              + " outcomes of "
              + changes.size()
              + " changes; this is a defect of it",
          null);
    }
    return outcomes;
  }

  private static HeaderChange change(Decision move) {
    return Objects.requireNonNull(move.change(), "change");
  }

  private void finish(Decision move, ReplaceOutcome outcome, int attemptsLeft) {
    KeysetId keyset = Objects.requireNonNull(move.keyset(), "keyset");
    EnvelopeRecord record = change(move).record();
    switch (outcome) {
      case REPLACED -> tally.moved(keyset, move.from(), move.to());
      case GONE -> tally.gone(keyset, move.from());
      case REFUSED -> fail(record, Reason.WRITE_REFUSED, keyset, move.from());
      case CHANGED_MEANWHILE -> again(record, keyset, move.from(), attemptsLeft);
    }
  }

  /** Judges a record anew that was changed before it was written. */
  private void again(EnvelopeRecord record, KeysetId keyset, int from, int attemptsLeft) {
    if (attemptsLeft == 0) {
      fail(record, Reason.KEEPS_CHANGING, keyset, from);
      return;
    }
    Optional<EnvelopeRecord> now = ofSource("cannot be read", () -> source.read(record.id()));
    if (now.isEmpty()) {
      tally.gone(keyset, from);
      return;
    }
    Decision next = decide(now.get());
    if (next.kind() == HeaderMove.Kind.MOVE) {
      finish(next, replace(List.of(next)).get(0), attemptsLeft - 1);
    } else {
      settle(now.get(), next, attemptsLeft - 1);
    }
  }

  /** Re-encrypts a record of a compromised version. */
  private void reencrypt(
      Reencryption reencryption, EnvelopeRecord record, Decision decision, int attemptsLeft) {
    KeysetId keyset = Objects.requireNonNull(decision.keyset(), "keyset");
    if (job == RewrapJob.DRY_RUN) {
      tally.wouldReencrypt(keyset, decision.from());
      return;
    }
    // The builder has seen to it that the source can do that.
    Reencryption.Result result = reencryption.of((WholeEnvelopeSource) source, record);
    ReplaceOutcome outcome = result.outcome();
    if (outcome == null) {
      Reason reason = Objects.requireNonNull(result.failure(), "reason");
      fail(record, reason, keyset, decision.from());
      return;
    }
    switch (outcome) {
      case REPLACED -> tally.reencrypted(keyset, decision.from(), result.to());
      case GONE -> tally.gone(keyset, decision.from());
      case REFUSED -> fail(record, Reason.WRITE_REFUSED, keyset, decision.from());
      case CHANGED_MEANWHILE -> again(record, keyset, decision.from(), attemptsLeft);
    }
  }

  /** Counts a record whose header is not written; encrypts it anew where that is called for. */
  private void settle(EnvelopeRecord record, Decision decision, int attemptsLeft) {
    // A check finds what is not as it should be, and this is not.
    if (reencryption != null
        && decision.reason() == Reason.NEEDS_REENCRYPT
        && job != RewrapJob.VERIFY) {
      reencrypt(reencryption, record, decision, attemptsLeft);
      return;
    }
    switch (decision.kind()) {
      case NO_VALUE -> tally.withoutValue();
      case OTHER_KEYSET -> tally.otherKeyset();
      case FAILED ->
          fail(
              record,
              Objects.requireNonNull(decision.reason(), "reason"),
              decision.keyset(),
              decision.from());
      case ALREADY_THERE, MOVE -> {
        KeysetId keyset = Objects.requireNonNull(decision.keyset(), "keyset");
        if (!stands(record)) {
          fail(record, Reason.CHECK_FAILED, keyset, decision.from());
        } else if (decision.kind() == HeaderMove.Kind.ALREADY_THERE) {
          tally.alreadyThere(keyset, decision.from());
        } else {
          tally.wouldMove(keyset, decision.from());
        }
      }
    }
  }

  private boolean stands(EnvelopeRecord record) {
    if (job != RewrapJob.VERIFY || check == null) {
      return true;
    }
    return ofSource(
        "cannot be checked",
        () -> {
          try {
            return check.accepts(source, record);
          } catch (DecryptionFailedException
              | MalformedEnvelopeException
              | KeyUnavailableException e) {
            return false;
          }
        });
  }

  private void fail(EnvelopeRecord record, Reason reason, @Nullable KeysetId keyset, int version) {
    if (keyset == null || version == 0) {
      tally.failed(reason);
    } else {
      tally.failed(reason, keyset, version);
    }
    failures.add(new RewrapFailure(source.identity(), record.id(), reason));
  }

  private <T> T ofSource(String problem, Patience.Call<T> call) {
    return patience.call(
        RewrapException.Reason.SOURCE_UNAVAILABLE, source.identity() + " " + problem, call);
  }
}
