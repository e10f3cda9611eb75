package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The PINs that a token has refused in this process, so that none is tried twice: some tokens lock
 * for good after three.
 *
 * <p>For the life of the process and not of a connection, because applications open in a loop. Kept
 * are digests under a salt of this process. A PIN has few bits, so the digest hides it from an eye
 * on a dump and from nobody else; but it is a PIN that did not work. Safe for any thread.
 */
final class PinLatch {
  /** Far more than anybody mistypes; beyond it nothing is tried any more. */
  private static final int MOST = 1000;

  private static final byte[] SALT = new byte[32];

  static {
    new SecureRandom().nextBytes(SALT);
  }

  private static final Set<String> REFUSED = ConcurrentHashMap.newKeySet();

  /** Logins whose failure does not say whether the PIN was looked at. */
  private static final Map<String, Doubt> DOUBTS = new ConcurrentHashMap<>();

  private record Doubt(Circuit circuit, ReturnCode code) {}

  private PinLatch() {}

  static String digest(String module, TokenInfo token, byte[] pin) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      sha256.update(SALT);
      for (String part : new String[] {module, token.label(), token.serial()}) {
        byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
        sha256.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
        sha256.update(bytes);
      }
      byte[] digest = sha256.digest(pin);
      String text = HexFormat.of().formatHex(digest);
      Arrays.fill(digest, (byte) 0);
      return text;
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this JDK lacks SHA-256", e);
    }
  }

  static boolean isRefused(String digest) {
    return REFUSED.contains(digest) || REFUSED.size() >= MOST;
  }

  static void refuse(String digest) {
    REFUSED.add(digest);
  }

  /**
   * One login for each period of the back-off, in this process.
   *
   * @throws RootKeyException with the reason of the last failure if it is too early for another
   */
  static void requireNoDoubt(String digest, TokenInfo token) {
    Doubt doubt = DOUBTS.get(digest);
    if (doubt != null && doubt.circuit().state() == CircuitState.OPEN) {
      throw new RootKeyException(
          doubt.code().reason(),
          "login at "
              + token
              + " failed with "
              + doubt.code()
              + " and is not tried for another "
              + doubt.circuit().untilNextAttempt().toMillis()
              + " ms");
    }
    if (doubt == null && DOUBTS.size() >= MOST) {
      throw new RootKeyException(UNAVAILABLE, "too many logins have failed in this process");
    }
  }

  /**
   * The token may have counted a try.
   *
   * @return how often it may have since this PIN was last accepted
   */
  static int doubt(String digest, ReturnCode code, Pkcs11Config config) {
    Circuit circuit =
        DOUBTS
            .merge(
                digest,
                new Doubt(
                    new Circuit(config.firstBackOff(), config.longestBackOff(), System::nanoTime),
                    code),
                (before, now) -> new Doubt(before.circuit(), code))
            .circuit();
    circuit.failed(code.name());
    return circuit.failures();
  }

  static void accept(String digest) {
    DOUBTS.remove(digest);
  }

  /** After an operator has set the PIN of a token to what was refused before. */
  static void forget() {
    REFUSED.clear();
    DOUBTS.clear();
  }
}
