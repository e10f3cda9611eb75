package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.Answers.Answer;
import dev.sealwax.kms.rootkey.QuorumMember.Asked;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Asks the members of a quorum, and waits for as many of them as are needed and as long as it is
 * worth it. Owns the members. Safe for any thread.
 */
final class QuorumCalls implements AutoCloseable {
  private final List<QuorumMember> members;
  private final int required;
  private final long patienceNanos;
  private final long deadlineNanos;
  private final AtomicBoolean closed = new AtomicBoolean();

  QuorumCalls(List<QuorumMember> members, int required, Duration patience, Duration deadline) {
    this.members = members;
    this.required = required;
    this.patienceNanos = patience.toNanos();
    this.deadlineNanos = deadline.toNanos();
  }

  // --- to wrap: all at once ---

  /**
   * Has members wrap a key.
   *
   * @param longest the most bytes that one may make of it
   * @return what each has made of it, of as many as are required at least
   */
  Map<QuorumMember, WrappedKey> wrap(
      List<QuorumMember> admitted, KeyMaterial shareKey, EncryptionContext context, int longest) {
    Map<QuorumMember, WrappedKey> shares = new HashMap<>();
    Map<QuorumMember, Asked> waiting = new LinkedHashMap<>();
    RootKeyFailures failures = new RootKeyFailures();
    long started = System.nanoTime();
    long allowed = deadlineNanos;
    try (Answers<QuorumMember, WrappedKey> answers = new Answers<>(late -> {})) {
      for (QuorumMember member : admitted) {
        // Its own, because it may still work on it when the others have answered.
        KeyMaterial copy = shareKey.use(KeyMaterial::copyOf);
        waiting.put(
            member,
            member.ask(answers, member, () -> share(member, copy, context, longest), copy::close));
      }
      while (!waiting.isEmpty()) {
        Answer<QuorumMember, WrappedKey> answer =
            next(answers, allowed - (System.nanoTime() - started));
        if (answer == null) {
          break;
        }
        waiting.remove(answer.question());
        if (answer.value() != null) {
          shares.put(answer.question(), answer.value());
        } else {
          failures.add(answer.question().id(), asFailure(answer));
        }
        boolean isEnough = answer.value() != null && shares.size() == required;
        boolean isInVain = answer.value() == null && shares.size() + waiting.size() == required - 1;
        if (isEnough || isInVain) {
          // What the others say makes no difference but to the record of it.
          allowed = Math.min(allowed, System.nanoTime() - started + patienceNanos);
        }
      }
    } finally {
      waiting.forEach(
          (member, asked) -> member.leave(asked, Math.min(patienceNanos, deadlineNanos)));
    }
    waiting.keySet().forEach(member -> failures.add(member.id(), noAnswer()));
    if (shares.size() < required) {
      requireOpen();
      throw failures.told(
          shares.size() + " of " + members.size() + " root keys have wrapped, not " + required);
    }
    return shares;
  }

  private static WrappedKey share(
      QuorumMember member, KeyMaterial shareKey, EncryptionContext context, int longest) {
    WrappedKey share = member.rootKey().wrap(shareKey, context);
    if (!share.rootKeyId().equals(member.id())) {
      throw new RootKeyException(
          INTERNAL,
          "it has wrapped as " + share.rootKeyId() + "; build the quorum anew with what it is now");
    }
    int length = share.ciphertext().length;
    if (length > longest) {
      throw new RootKeyException(
          UNSUPPORTED,
          "it has wrapped to " + length + " bytes; in this quorum there is room for " + longest);
    }
    return share;
  }

  // --- to unwrap: one after the other ---

  /** A root key that may open a share. */
  private record Owner(QuorumMember member, WrappedKey share) {}

  /**
   * Who to ask, in this order. An earlier key of a provider has another id than its current one, so
   * those of the same scheme are asked for a share that nobody owns by name.
   */
  private List<Owner> owners(List<WrappedKey> shares) {
    List<Owner> healthy = new ArrayList<>();
    List<Owner> suspect = new ArrayList<>();
    List<Owner> unlikely = new ArrayList<>();
    Set<QuorumMember> last = new HashSet<>(members);
    last.removeIf(member -> !member.isLast());
    for (QuorumMember member : members) {
      for (WrappedKey share : shares) {
        Owner owner = new Owner(member, share);
        if (member.id().equals(share.rootKeyId())) {
          (last.contains(member) ? suspect : healthy).add(owner);
        } else if (member.id().scheme().equals(share.rootKeyId().scheme())
            && members.stream().noneMatch(other -> other.id().equals(share.rootKeyId()))) {
          unlikely.add(owner);
        }
      }
    }
    healthy.addAll(suspect);
    healthy.addAll(unlikely);
    // Who writes the store can name any number of shares that are nobody's.
    return healthy.subList(0, Math.min(healthy.size(), 2 * QuorumWrap.MAX_MEMBERS));
  }

  /**
   * Has the first member that can unwrap a key.
   *
   * @param wrap what it is, if a quorum has wrapped it
   */
  KeyMaterial unwrap(WrappedKey wrapped, @Nullable QuorumWrap wrap, EncryptionContext context) {
    List<Owner> owners = owners(wrap == null ? List.of(wrapped) : wrap.shares());
    if (owners.isEmpty()) {
      throw new RootKeyException(
          NOT_FOUND,
          "the key is held by "
              + wrapped.holders()
              + ", and the quorum is "
              + members.stream().map(QuorumMember::id).toList());
    }
    RootKeyFailures failures = new RootKeyFailures();
    Map<Owner, Asked> waiting = new LinkedHashMap<>();
    long started = System.nanoTime();
    try (Answers<Owner, KeyMaterial> answers = new Answers<>(KeyMaterial::close)) {
      Deque<Owner> untried = new ArrayDeque<>(owners);
      while (!waiting.isEmpty() || !untried.isEmpty()) {
        if (!untried.isEmpty()) {
          Owner owner = untried.remove();
          waiting.put(
              owner, owner.member.ask(answers, owner, () -> open(owner, wrap, context), () -> {}));
        }
        long left = deadlineNanos - (System.nanoTime() - started);
        // Then the next one is asked, beside those that have not answered; all of them in time.
        Answer<Owner, KeyMaterial> answer =
            next(answers, untried.isEmpty() ? left : Math.min(left / 2, patienceNanos));
        if (answer == null) {
          if (System.nanoTime() - started >= deadlineNanos) {
            break;
          }
          continue;
        }
        waiting.remove(answer.question());
        if (answer.value() != null) {
          return answer.value();
        }
        failures.add(answer.question().member.id(), asFailure(answer));
      }
    } finally {
      waiting.forEach(
          (owner, asked) -> owner.member.leave(asked, Math.min(patienceNanos, deadlineNanos / 2)));
    }
    waiting.keySet().forEach(owner -> failures.add(owner.member.id(), noAnswer()));
    requireOpen();
    throw failures.told("no root key has unwrapped it");
  }

  /** By one root key; on a thread of its own. */
  private static KeyMaterial open(
      Owner owner, @Nullable QuorumWrap wrap, EncryptionContext context) {
    KeyMaterial unwrapped = owner.member.rootKey().unwrap(owner.share, context);
    return wrap == null ? unwrapped : wrap.secret(unwrapped, context);
  }

  private static <Q, T> @Nullable Answer<Q, T> next(Answers<Q, T> answers, long nanos) {
    try {
      return answers.next(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RootKeyException(UNAVAILABLE, "interrupted while waiting for a quorum", e);
    }
  }

  private RootKeyException asFailure(Answer<?, ?> answer) {
    if (answer.failure() instanceof VirtualMachineError error) {
      throw error;
    }
    if (answer.failure() instanceof RootKeyException failure) {
      return failure;
    }
    requireOpen();
    return new RootKeyException(
        INTERNAL, "a root key of the quorum threw what it must not", answer.failure());
  }

  private static RootKeyException noAnswer() {
    return new RootKeyException(UNAVAILABLE, "it gave no answer in time");
  }

  void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("quorum is closed");
    }
  }

  /** Closes every member, even if closing one fails; the first failure is thrown at the end. */
  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      RoutingRootKey.closeAll(members.stream().map(member -> member::close));
    }
  }
}
