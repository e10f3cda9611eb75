package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INVALID_CIPHERTEXT;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.Answers.Answer;
import dev.sealwax.kms.rootkey.QuorumMember.Asked;
import dev.sealwax.kms.rootkey.QuorumWrap.Entry;
import dev.sealwax.kms.rootkey.QuorumWrap.Standing;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Several root keys that all wrap, of which any one alone unwraps: regions of a cloud, or an HSM
 * and a cloud.
 *
 * <p>A secret is wrapped by all of them at the same time. It counts as wrapped once the required
 * number has answered; those that have not within a short patience are recorded in the wrapped key
 * as {@linkplain WrappedKey#missingHolders missing}, and {@code Keysets.repairWraps} or a scheduler
 * asks them again. To unwrap, the first root key in the order given is asked; the next one is asked
 * if it fails for whatever reason, or lets wait longer than the patience. One that was down lately
 * is asked last.
 *
 * <p>Each root key holds the secret on its own: whoever may use one of them can unwrap. A keyset is
 * cut off from its root only when every holder is switched off; to cut it off at once, disable its
 * versions.
 *
 * <p>If nobody opens a wrapped key, or too few wrap, the reason is the first that one of them gives
 * of DISABLED, ACCESS_DENIED, UNAVAILABLE, THROTTLED, INTERNAL, UNSUPPORTED, INVALID_CIPHERTEXT,
 * NOT_FOUND; the message names all. What a root key of the quorum wrapped by itself is unwrapped as
 * well.
 *
 * <p>Owns the root keys and closes them; safe for concurrent use. Give each root key a {@link
 * ResilientRootKey} around it, for its own circuit and retries; around the quorum it would be one
 * for all.
 */
public final class QuorumRootKey implements RootKey {
  /** Most root keys in one quorum. */
  public static final int MAX_MEMBERS = QuorumWrap.MAX_MEMBERS;

  private static final SecureRandom RANDOM = new SecureRandom();

  /**
   * How one root key of a quorum does; a snapshot, whose counters run since the quorum was built.
   *
   * @param id the root key
   * @param tags what it is known by
   * @param isSuspect whether it was down lately, so that it is asked last
   * @param calls calls made to it
   * @param failures of these, those that failed, and those for whose answer nobody could wait
   * @param lastFailure why one last failed, if ever
   */
  public record MemberHealth(
      RootKeyId id,
      Set<String> tags,
      boolean isSuspect,
      long calls,
      long failures,
      Optional<RootKeyException.Reason> lastFailure) {}

  private final List<QuorumMember> members;
  private final int required;
  private final long patienceNanos;
  private final long deadlineNanos;
  private final RootKeyId id;
  private final AtomicBoolean closed = new AtomicBoolean();

  private QuorumRootKey(Builder builder) {
    this.members = builder.members();
    this.required = builder.required == 0 ? members.size() / 2 + 1 : builder.required;
    this.patienceNanos = builder.patience.toNanos();
    this.deadlineNanos = builder.deadline.toNanos();
    this.id = QuorumWrap.idOf(members.stream().map(QuorumMember::id).toList());
  }

  /** Starts to join root keys. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * {@code quorum:} and a hash over the ids of the root keys, in whatever order: another quorum has
   * another id, and keysets are moved to it like to any other root key.
   */
  @Override
  public RootKeyId currentKeyId() {
    return id;
  }

  /** The tags that all root keys of the quorum have. */
  @Override
  public Set<String> tags() {
    Set<String> common = new TreeSet<>(members.get(0).tags());
    members.forEach(member -> common.retainAll(member.tags()));
    return Set.copyOf(common);
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    return wrap(key, context, RootKeyRule.any());
  }

  /**
   * Wraps by those root keys that the rule admits.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if it admits fewer than are required; or with
   *     the reason of those that failed, if fewer than required have wrapped
   */
  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    Objects.requireNonNull(rule, "rule");
    requireOpen();
    List<QuorumMember> admitted =
        members.stream().filter(member -> rule.admits(member.tags())).toList();
    if (admitted.size() < required) {
      throw new RootKeyException(
          UNSUPPORTED,
          "the keyset's "
              + rule
              + " admits "
              + admitted.size()
              + " of the quorum's "
              + members.size()
              + " root keys, and "
              + required
              + " must wrap");
    }
    try (KeyMaterial own = key.use(KeyMaterial::copyOf);
        KeyMaterial shareKey = KeyMaterial.random(RANDOM, QuorumWrap.SHARE_KEY_BYTES)) {
      int longest = longestShare(own.lengthBytes());
      Map<QuorumMember, WrappedKey> shares = shares(admitted, shareKey, context, longest);
      List<Entry> entries = new ArrayList<>();
      for (QuorumMember member : members) {
        WrappedKey share = shares.get(member);
        entries.add(
            share != null
                ? Entry.holding(share)
                : Entry.without(
                    member.id(), admitted.contains(member) ? Standing.MISSING : Standing.EXCLUDED));
      }
      return QuorumWrap.seal(shareKey, random(), entries, context, own);
    }
  }

  /** What each member has room for, so that none can take the room of the others. */
  private int longestShare(int secretBytes) {
    List<RootKeyId> ids = members.stream().map(QuorumMember::id).toList();
    int longest = QuorumWrap.roomForShares(ids, secretBytes) / members.size();
    if (longest < 1) {
      throw new RootKeyException(
          UNSUPPORTED,
          "a secret of "
              + secretBytes
              + " bytes and the ids of "
              + members.size()
              + " root keys leave no room for what these wrap; use fewer, or shorter ids");
    }
    return longest;
  }

  private static byte[] random() {
    byte[] salt = new byte[SealedSecret.SALT_LEN];
    RANDOM.nextBytes(salt);
    return salt;
  }

  private Map<QuorumMember, WrappedKey> shares(
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
    }
    waiting.forEach(
        (member, asked) -> {
          member.leave(asked, Math.min(patienceNanos, deadlineNanos));
          failures.add(member.id(), noAnswer());
        });
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

  /**
   * {@inheritDoc}
   *
   * @throws RootKeyException with {@code NOT_FOUND} if none of these root keys holds it
   */
  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    requireOpen();
    QuorumWrap wrap = null;
    List<WrappedKey> shares = List.of(wrapped);
    if (QuorumWrap.isScheme(wrapped.rootKeyId())) {
      wrap = requireValid(wrapped);
      shares = wrap.shares();
    }
    return firstToOpen(wrapped, owners(shares), wrap, context);
  }

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
    return healthy.subList(0, Math.min(healthy.size(), 2 * MAX_MEMBERS));
  }

  private KeyMaterial firstToOpen(
      WrappedKey wrapped,
      List<Owner> owners,
      @Nullable QuorumWrap wrap,
      EncryptionContext context) {
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
          waiting.forEach((owner, asked) -> owner.member.leave(asked, patienceNanos));
          return answer.value();
        }
        failures.add(answer.question().member.id(), asFailure(answer));
      }
    }
    waiting.forEach(
        (owner, asked) -> {
          owner.member.leave(asked, Math.min(patienceNanos, deadlineNanos / 2));
          failures.add(owner.member.id(), noAnswer());
        });
    requireOpen();
    throw failures.told("no root key has unwrapped it");
  }

  /** By one root key; on a thread of its own. */
  private static KeyMaterial open(
      Owner owner, @Nullable QuorumWrap wrap, EncryptionContext context) {
    return opened(owner.member.rootKey().unwrap(owner.share, context), wrap, context);
  }

  private static KeyMaterial opened(
      KeyMaterial unwrapped, @Nullable QuorumWrap wrap, EncryptionContext context) {
    if (wrap == null) {
      return unwrapped;
    }
    try (unwrapped) {
      KeyMaterial secret = wrap.open(unwrapped, context);
      if (secret == null) {
        throw invalid(wrap.id());
      }
      return secret;
    }
  }

  /**
   * Unwraps by any root key: what a quorum has wrapped, also by one of its root keys alone, or by
   * several behind a {@link RoutingRootKey}.
   *
   * @throws RootKeyException as {@link RootKey#unwrap} says
   */
  public static KeyMaterial unwrapBy(
      RootKey rootKey, WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(rootKey, "root key");
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    if (!QuorumWrap.isScheme(wrapped.rootKeyId())
        || wrapped.rootKeyId().equals(rootKey.currentKeyId())) {
      return rootKey.unwrap(wrapped, context);
    }
    QuorumWrap wrap = requireValid(wrapped);
    List<Supplier<KeyMaterial>> ways = new ArrayList<>();
    for (WrappedKey share : wrap.shares()) {
      Supplier<KeyMaterial> way = () -> opened(rootKey.unwrap(share, context), wrap, context);
      if (share.rootKeyId().equals(rootKey.currentKeyId())) {
        ways.add(0, way);
      } else {
        ways.add(way);
      }
    }
    boolean ownsOne =
        wrap.shares().stream().anyMatch(s -> s.rootKeyId().equals(rootKey.currentKeyId()));
    ways.add(ownsOne ? ways.size() : 0, () -> rootKey.unwrap(wrapped, context));
    RootKeyFailures failures = new RootKeyFailures();
    for (Supplier<KeyMaterial> way : ways) {
      try {
        return way.get();
      } catch (RootKeyException e) {
        failures.add(rootKey.currentKeyId(), e);
      }
    }
    throw failures.areAllNotFound()
        ? new RootKeyException(
            NOT_FOUND, "the key is held by " + wrapped.holders() + ", not by " + rootKey)
        : failures.told("it is held by " + wrapped.holders());
  }

  /** Whether an id is that of a quorum. */
  public static boolean isQuorum(RootKeyId id) {
    return QuorumWrap.isScheme(Objects.requireNonNull(id, "root key id"));
  }

  private static QuorumWrap requireValid(WrappedKey wrapped) {
    QuorumWrap wrap = QuorumWrap.parse(wrapped);
    if (wrap == null) {
      throw invalid(wrapped.rootKeyId());
    }
    return wrap;
  }

  private static RootKeyException invalid(RootKeyId id) {
    return new RootKeyException(
        INVALID_CIPHERTEXT, "wrapped key is not authentic for " + id + " and this context");
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

  /** How each root key does, in the order given; made without asking them. */
  public List<MemberHealth> health() {
    return members.stream().map(QuorumMember::health).toList();
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("quorum is closed");
    }
  }

  /** Closes every root key, even if closing one fails; the first failure is thrown at the end. */
  @Override
  public void close() {
    if (!closed.getAndSet(true)) {
      RoutingRootKey.closeAll(members.stream().map(member -> member::close));
    }
  }

  @Override
  public String toString() {
    return "QuorumRootKey["
        + required
        + " of "
        + members.stream().map(member -> member.id().value()).collect(Collectors.joining(", "))
        + "]";
  }

  /** Collects the root keys of a {@link QuorumRootKey} and its limits. For one thread. */
  public static final class Builder {
    private static final Duration LONGEST = Duration.ofHours(1);

    private record Given(RootKey rootKey, Set<String> tags) {}

    private final List<Given> given = new ArrayList<>();
    private int required;
    private Duration patience = Duration.ofSeconds(1);
    private Duration deadline = Duration.ofSeconds(10);
    private LongSupplier nanoClock = System::nanoTime;
    private boolean built;

    private Builder() {}

    /**
     * Adds a root key. Those added first are preferred to unwrap.
     *
     * @param rootKey ownership passes with {@link #build}
     * @param tags what it is known by besides its own tags
     * @throws IllegalArgumentException if a tag is not one (see {@link RootKeyRule}), the root key
     *     is a quorum or one with the same id, or there are more than {@value #MAX_MEMBERS}
     */
    public Builder member(RootKey rootKey, String... tags) {
      RootKeyId id = Objects.requireNonNull(rootKey, "root key").currentKeyId();
      Set<String> all = new TreeSet<>(rootKey.tags());
      for (String tag : Objects.requireNonNull(tags, "tags")) {
        all.add(RootKeyRule.requireTag(tag));
      }
      if (QuorumWrap.isScheme(id)) {
        throw new IllegalArgumentException("a quorum cannot be in another: add its root keys");
      }
      for (Given other : given) {
        if (other.rootKey.currentKeyId().equals(id)) {
          throw new IllegalArgumentException("root key is given twice: " + id);
        }
      }
      if (given.size() == MAX_MEMBERS) {
        throw new IllegalArgumentException("a quorum has at most " + MAX_MEMBERS + " root keys");
      }
      given.add(new Given(rootKey, Set.copyOf(all)));
      return this;
    }

    /**
     * How many root keys must wrap for a key to count as wrapped; more than half of them if not
     * set.
     *
     * @throws IllegalArgumentException if not within 1 and {@value #MAX_MEMBERS}
     */
    public Builder required(int required) {
      if (required < 1 || required > MAX_MEMBERS) {
        throw new IllegalArgumentException(
            "required root keys must be 1 to " + MAX_MEMBERS + ", got " + required);
      }
      this.required = required;
      return this;
    }

    /**
     * How long to wait for the other root keys once enough have wrapped, and for one to unwrap
     * before the next is asked as well; 1 second if not set.
     *
     * @throws IllegalArgumentException if not within 1 ms and one hour
     */
    public Builder patience(Duration patience) {
      this.patience = inRange(patience, "patience");
      return this;
    }

    /**
     * How long a caller waits at most; 10 seconds if not set.
     *
     * @throws IllegalArgumentException if not within 1 ms and one hour
     */
    public Builder deadline(Duration deadline) {
      this.deadline = inRange(deadline, "deadline");
      return this;
    }

    private static Duration inRange(Duration value, String name) {
      Objects.requireNonNull(value, name);
      if (value.compareTo(Duration.ofMillis(1)) < 0 || value.compareTo(LONGEST) > 0) {
        throw new IllegalArgumentException(name + " must be 1 ms to 1 hour, got " + value);
      }
      return value;
    }

    /** For tests: the clock by which a suspect is forgiven. */
    Builder nanoClock(LongSupplier nanoClock) {
      this.nanoClock = nanoClock;
      return this;
    }

    /**
     * Joins the root keys; none is called yet.
     *
     * @throws IllegalArgumentException if there are none, or fewer than required
     * @throws IllegalStateException if this builder has built before: two would close the same root
     *     keys
     */
    public QuorumRootKey build() {
      if (built) {
        throw new IllegalStateException(
            "this builder has joined its root keys; start another with root keys of its own");
      }
      if (given.isEmpty() || given.size() < required) {
        throw new IllegalArgumentException(
            given.size() + " root keys cannot be a quorum of " + Math.max(1, required));
      }
      built = true;
      return new QuorumRootKey(this);
    }

    private List<QuorumMember> members() {
      return given.stream()
          .map(each -> new QuorumMember(each.rootKey, each.tags, nanoClock))
          .toList();
    }
  }
}
