package dev.sealwax.kms.vocabulary;

import java.io.Serializable;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The name of a keyset: 1 to 64 characters of {@code a-z 0-9 . _ -}, the first one a letter or a
 * digit.
 *
 * <p>The name travels in every envelope and names a file in {@code FileKeysetStore}, hence the
 * small alphabet: no case folding, no path separators, no Unicode look-alikes. Immutable; safe for
 * any thread.
 *
 * @param value the name itself
 */
public record KeysetId(String value) implements Comparable<KeysetId>, Serializable {
  /**
   * Longest name, in characters and (being ASCII) in bytes; fits the one-byte length of
   * envelope-v1.
   */
  public static final int MAX_LENGTH = 64;

  public KeysetId {
    Objects.requireNonNull(value, "keyset name");
    String problem = problemWith(value);
    if (problem != null) {
      throw new IllegalArgumentException(problem);
    }
  }

  /**
   * Names a keyset.
   *
   * @throws IllegalArgumentException if the name breaks the rule of the class; choose another name
   */
  public static KeysetId of(String name) {
    return new KeysetId(name);
  }

  /** Whether {@code name} is acceptable; for parsers that report the failure in their own terms. */
  public static boolean isValid(String name) {
    return problemWith(Objects.requireNonNull(name, "name")) == null;
  }

  private static @Nullable String problemWith(String name) {
    if (name.isEmpty() || name.length() > MAX_LENGTH) {
      return "keyset name must have 1 to " + MAX_LENGTH + " characters, got " + name.length();
    }
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      boolean alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (!alphanumeric && (i == 0 || (c != '.' && c != '_' && c != '-'))) {
        return String.format(
            "keyset name may hold a-z 0-9 . _ - and start with a letter or digit; character %d is"
                + " U+%04X%s",
            i, (int) c, c > 0x20 && c < 0x7f ? " (" + c + ")" : "");
      }
    }
    return null;
  }

  @Override
  public int compareTo(KeysetId other) {
    return value.compareTo(other.value);
  }

  @Override
  public String toString() {
    return value;
  }
}
