package dev.sealwax.kms.aws;

import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The full name of a KMS key. Immutable. */
record KeyArn(String partition, String region, String account, String keyId) {
  private static final String MULTI_REGION = "mrk-";
  private static final Pattern FORM =
      Pattern.compile("arn:([a-z0-9-]+):kms:([a-z0-9-]+):([0-9]+):key/([A-Za-z0-9-]+)");

  /** Reads the ARN of a key; null if the text is anything else, an alias for instance. */
  static @Nullable KeyArn parse(@Nullable String text) {
    Matcher matcher = FORM.matcher(Objects.requireNonNullElse(text, ""));
    return matcher.matches()
        ? new KeyArn(matcher.group(1), matcher.group(2), matcher.group(3), matcher.group(4))
        : null;
  }

  /**
   * Whether what one of the two encrypts the other decrypts: they are equal, or replicas of one
   * multi-Region key, which differ in the region alone.
   */
  boolean isSameKeyAs(KeyArn other) {
    boolean sameRegion = region.equals(other.region);
    return partition.equals(other.partition)
        && account.equals(other.account)
        && keyId.equals(other.keyId)
        && (sameRegion || keyId.startsWith(MULTI_REGION));
  }

  @Override
  public String toString() {
    return "arn:" + partition + ":kms:" + region + ":" + account + ":key/" + keyId;
  }
}
