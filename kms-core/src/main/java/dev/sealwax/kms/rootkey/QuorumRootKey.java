package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.rootkey.QuorumWrap.Entry;
import dev.sealwax.kms.rootkey.QuorumWrap.Standing;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

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
  private final RootKeyId id;
  private final QuorumCalls calls;

  private QuorumRootKey(Builder builder) {
    this.members = builder.members();
    this.required = builder.required == 0 ? members.size() / 2 + 1 : builder.required;
    this.id = QuorumWrap.idOf(members.stream().map(QuorumMember::id).toList());
    this.calls = new QuorumCalls(members, required, builder.patience, builder.deadline);
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
    calls.requireOpen();
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
      Map<QuorumMember, WrappedKey> shares = calls.wrap(admitted, shareKey, context, longest);
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

  /**
   * {@inheritDoc}
   *
   * @throws RootKeyException with {@code NOT_FOUND} if none of these root keys holds it
   */
  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    Objects.requireNonNull(wrapped, "wrapped key");
    Objects.requireNonNull(context, "context");
    calls.requireOpen();
    QuorumWrap wrap = isQuorum(wrapped.rootKeyId()) ? QuorumWrap.require(wrapped) : null;
    return calls.unwrap(wrapped, wrap, context);
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
    RootKeyId own = rootKey.currentKeyId();
    if (!isQuorum(wrapped.rootKeyId()) || wrapped.rootKeyId().equals(own)) {
      return rootKey.unwrap(wrapped, context);
    }
    QuorumWrap wrap = QuorumWrap.require(wrapped);
    // Its own share if it has one; then the whole, which another quorum can open; then the others,
    // which may be those of root keys behind this one.
    List<WrappedKey> parts = new ArrayList<>(wrap.shares());
    parts.add(0, wrapped);
    parts.sort(Comparator.comparing(part -> !part.rootKeyId().equals(own)));
    RootKeyFailures failures = new RootKeyFailures();
    for (WrappedKey part : parts) {
      try {
        KeyMaterial unwrapped = rootKey.unwrap(part, context);
        return part.equals(wrapped) ? unwrapped : wrap.secret(unwrapped, context);
      } catch (RootKeyException e) {
        failures.add(part.rootKeyId(), e);
      }
    }
    throw failures.areAllNotFound()
        ? new RootKeyException(
            NOT_FOUND, "the key is held by " + wrapped.holders() + ", not by " + rootKey)
        : failures.told("no root key has unwrapped it");
  }

  /** Whether an id is that of a quorum. */
  public static boolean isQuorum(RootKeyId id) {
    return QuorumWrap.isScheme(Objects.requireNonNull(id, "root key id"));
  }

  /** How each root key does, in the order given; made without asking them. */
  public List<MemberHealth> health() {
    return members.stream().map(QuorumMember::health).toList();
  }

  /** Closes every root key, even if closing one fails; the first failure is thrown at the end. */
  @Override
  public void close() {
    calls.close();
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
