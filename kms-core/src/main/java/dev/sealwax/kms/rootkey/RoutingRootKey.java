package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;

import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyMaterial;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Several root keys behind one: the current one wraps, whichever owns a wrapped key unwraps it. It
 * serves while keysets move from one root key to another. Owns the root keys given to it and closes
 * them; safe for concurrent use as they are.
 *
 * <p>The owner is the root key whose current id the wrapped key names. If none has it, a provider
 * may still own it as an earlier key of its own, so those of the same scheme are asked in order,
 * and quorums, which know their members; others never see the wrapped key. An answer other than
 * {@code NOT_FOUND} does not end the search, because a provider that is down cannot say whose key
 * it is; if nobody opens it, that is reported, and a refusal rather than an outage.
 */
public final class RoutingRootKey implements RootKey {
  private final RootKey current;
  private final List<RootKey> all;
  private final AtomicBoolean closed = new AtomicBoolean();

  private RoutingRootKey(RootKey current, List<RootKey> all) {
    this.current = current;
    this.all = all;
  }

  /**
   * Joins root keys.
   *
   * @param current wraps; ownership passes
   * @param others only unwrap; ownership passes
   * @throws IllegalArgumentException if two have the same current id; all stay the caller's then
   */
  public static RoutingRootKey of(RootKey current, RootKey... others) {
    List<RootKey> all = new ArrayList<>();
    all.add(Objects.requireNonNull(current, "current root key"));
    for (RootKey other : Objects.requireNonNull(others, "other root keys")) {
      all.add(Objects.requireNonNull(other, "other root key"));
    }
    Set<RootKeyId> ids = new HashSet<>();
    for (RootKey rootKey : all) {
      if (!ids.add(rootKey.currentKeyId())) {
        throw new IllegalArgumentException("root key is given twice: " + rootKey.currentKeyId());
      }
    }
    return new RoutingRootKey(current, List.copyOf(all));
  }

  @Override
  public RootKeyId currentKeyId() {
    return current.currentKeyId();
  }

  @Override
  public Set<String> tags() {
    return current.tags();
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context) {
    requireOpen();
    return current.wrap(key, context);
  }

  @Override
  public WrappedKey wrap(KeyMaterial key, EncryptionContext context, RootKeyRule rule) {
    Objects.requireNonNull(rule, "rule");
    requireOpen();
    return current.wrap(key, context, rule);
  }

  /**
   * {@inheritDoc}
   *
   * @throws RootKeyException with {@code NOT_FOUND} and the known ids if no root key owns it; add
   *     the root key that does
   */
  @Override
  public KeyMaterial unwrap(WrappedKey wrapped, EncryptionContext context) {
    RootKeyId id = Objects.requireNonNull(wrapped, "wrapped key").rootKeyId();
    Objects.requireNonNull(context, "context");
    requireOpen();
    for (RootKey rootKey : all) {
      if (rootKey.currentKeyId().equals(id)) {
        return rootKey.unwrap(wrapped, context);
      }
    }
    RootKeyFailures failures = new RootKeyFailures();
    for (RootKey rootKey : all) {
      RootKeyId own = rootKey.currentKeyId();
      if (own.scheme().equals(id.scheme()) || QuorumWrap.isScheme(own)) {
        try {
          return rootKey.unwrap(wrapped, context);
        } catch (RootKeyException e) {
          failures.add(own, e);
        }
      }
    }
    throw failures.areAllNotFound() ? unknown(id) : failures.told("no root key has unwrapped it");
  }

  private RootKeyException unknown(RootKeyId id) {
    String known =
        all.stream().map(key -> key.currentKeyId().value()).collect(Collectors.joining(", "));
    return new RootKeyException(NOT_FOUND, "no root key for " + id + "; known are " + known);
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("routing root key is closed");
    }
  }

  /** Closes every root key, even if closing one fails; the first failure is thrown at the end. */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    closeAll(all.stream().map(rootKey -> rootKey::close));
  }

  static void closeAll(Stream<Runnable> closings) {
    RuntimeException failure = null;
    for (Runnable closing : closings.toList()) {
      try {
        closing.run();
      } catch (RuntimeException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  @Override
  public String toString() {
    return "RoutingRootKey[current " + current.currentKeyId() + ", " + all.size() + " in all]";
  }
}
