package dev.sealwax.kms.rootkey;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.Collections;
import java.util.Objects;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Which root keys may hold the keys of a keyset, by {@linkplain RootKey#tags() tags}: each of them
 * carries every required tag and no forbidden one. Immutable; safe for any thread.
 *
 * <p>It is checked when something is wrapped, against what the root keys of that process say of
 * themselves, and kept in the authenticated document of the keyset. Unwrapping does not ask it: it
 * would only lose data.
 */
public final class RootKeyRule {
  /** Most tags of one kind in a rule. */
  public static final int MAX_TAGS = 16;

  /** Longest tag, in characters. */
  public static final int MAX_TAG_LENGTH = 128;

  private static final RootKeyRule ANY =
      new RootKeyRule(Collections.emptySortedSet(), Collections.emptySortedSet());

  private final SortedSet<String> required;
  private final SortedSet<String> forbidden;

  private RootKeyRule(SortedSet<String> required, SortedSet<String> forbidden) {
    this.required = required;
    this.forbidden = forbidden;
  }

  /** Any root key. */
  public static RootKeyRule any() {
    return ANY;
  }

  /**
   * The rule with further tags that every root key must carry.
   *
   * @throws IllegalArgumentException if a tag is not 1 to {@value #MAX_TAG_LENGTH} printable ASCII
   *     characters without spaces, is forbidden already, or there are more than {@value #MAX_TAGS}
   */
  public RootKeyRule requiring(String... tags) {
    return joined(union(required, tags, "required"), forbidden);
  }

  /**
   * The rule with further tags that no root key may carry.
   *
   * @throws IllegalArgumentException as {@link #requiring} does
   */
  public RootKeyRule forbidding(String... tags) {
    return joined(required, union(forbidden, tags, "forbidden"));
  }

  private static RootKeyRule joined(SortedSet<String> required, SortedSet<String> forbidden) {
    for (String tag : required) {
      if (forbidden.contains(tag)) {
        throw new IllegalArgumentException("tag is both required and forbidden: " + tag);
      }
    }
    return new RootKeyRule(required, forbidden);
  }

  private static SortedSet<String> union(SortedSet<String> old, String[] more, String kind) {
    SortedSet<String> all = new TreeSet<>(old);
    for (String tag : Objects.requireNonNull(more, "tags")) {
      all.add(requireTag(tag));
    }
    if (all.size() > MAX_TAGS) {
      throw new IllegalArgumentException(
          "a rule has at most " + MAX_TAGS + " " + kind + " tags, got " + all.size());
    }
    return Collections.unmodifiableSortedSet(all);
  }

  static String requireTag(String tag) {
    Objects.requireNonNull(tag, "tag");
    if (tag.isEmpty()
        || tag.length() > MAX_TAG_LENGTH
        || !tag.chars().allMatch(c -> c > 0x20 && c < 0x7f)) {
      throw new IllegalArgumentException(
          "a tag must be 1 to "
              + MAX_TAG_LENGTH
              + " printable ASCII characters without spaces, for instance region=eu-central-1");
    }
    return tag;
  }

  /** The tags that every root key must carry, in ascending order, unmodifiable. */
  public SortedSet<String> required() {
    return required;
  }

  /** The tags that no root key may carry, in ascending order, unmodifiable. */
  public SortedSet<String> forbidden() {
    return forbidden;
  }

  /** Whether a root key with these tags may hold keys under the rule. */
  public boolean admits(Set<String> tags) {
    return Objects.requireNonNull(tags, "tags").containsAll(required)
        && Collections.disjoint(tags, forbidden);
  }

  /**
   * Refuses a root key that the rule does not admit.
   *
   * @throws RootKeyException with {@code UNSUPPORTED}; wrap with another root key, or change the
   *     rule of the keyset
   */
  void requireAdmitted(RootKeyId rootKey, Set<String> tags) {
    if (!admits(tags)) {
      throw new RootKeyException(
          RootKeyException.Reason.UNSUPPORTED,
          "the keyset's " + this + " does not admit " + rootKey + ", which is tagged " + tags);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof RootKeyRule rule
        && required.equals(rule.required)
        && forbidden.equals(rule.forbidden);
  }

  @Override
  public int hashCode() {
    return Objects.hash(required, forbidden);
  }

  @Override
  public String toString() {
    return "rule for root keys [requires " + required + ", forbids " + forbidden + "]";
  }
}
