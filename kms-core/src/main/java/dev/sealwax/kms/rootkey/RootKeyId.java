package dev.sealwax.kms.rootkey;

import java.util.Objects;

/**
 * The printable name of a root key, stored beside what it wrapped: {@code scheme:locator}, 3 to 512
 * ASCII characters without spaces, for instance {@code local:3f9a...}. It identifies and never
 * configures; it holds no credentials.
 *
 * @param value the name itself
 */
public record RootKeyId(String value) {
  /** Longest id, in characters. */
  public static final int MAX_LENGTH = 512;

  public RootKeyId {
    Objects.requireNonNull(value, "root key id");
    if (!isValid(value)) {
      throw new IllegalArgumentException(
          "root key id must be scheme:locator of at most "
              + MAX_LENGTH
              + " printable ASCII characters without spaces");
    }
  }

  /**
   * Names a root key.
   *
   * @throws IllegalArgumentException if the text breaks the rule of the class
   */
  public static RootKeyId of(String value) {
    return new RootKeyId(value);
  }

  /**
   * Whether {@code value} is acceptable; for parsers that report the failure in their own terms.
   */
  public static boolean isValid(String value) {
    int colon = Objects.requireNonNull(value, "value").indexOf(':');
    return colon > 0
        && colon < value.length() - 1
        && value.length() <= MAX_LENGTH
        && value.chars().allMatch(c -> c > 0x20 && c < 0x7f);
  }

  /** The part before the first colon: the kind of provider. */
  public String scheme() {
    return value.substring(0, value.indexOf(':'));
  }

  @Override
  public String toString() {
    return value;
  }
}
