package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;

import dev.sealwax.kms.vocabulary.RootKeyException;
import org.jspecify.annotations.Nullable;

/**
 * A secret or private key object of a token by what identifies it, with its handle as long as that
 * holds. Safe for any thread.
 *
 * <p>Objects that are not private do not count: a session without the PIN can make those, of any
 * label and id.
 */
final class TokenObject {
  private record Found(Login login, long handle) {}

  private final String name;
  private final long objectClass;
  private final long keyType;
  private final byte @Nullable [] id;
  private final @Nullable String label;

  private volatile @Nullable Found found;
  private volatile long seenInGeneration = -1;

  private TokenObject(
      String name, long objectClass, long keyType, byte @Nullable [] id, @Nullable String label) {
    this.name = name;
    this.objectClass = objectClass;
    this.keyType = keyType;
    this.id = id;
    this.label = label;
  }

  static TokenObject byId(long objectClass, long keyType, byte[] id) {
    return new TokenObject("key " + Pkcs11Uri.escape(id), objectClass, keyType, id.clone(), null);
  }

  static TokenObject byLabel(long objectClass, long keyType, String label) {
    return new TokenObject("key '" + label + "'", objectClass, keyType, null, label);
  }

  long keyType() {
    return keyType;
  }

  /**
   * The handle under the login of this session.
   *
   * @throws CryptokiException if it was there and is not any more, and there is hope
   * @throws RootKeyException with {@code NOT_FOUND} if it is not there, or there are two
   */
  long handle(TokenSession session) {
    Found current = found;
    if (current != null && current.login() == session.login()) {
      return current.handle();
    }
    long handle = find(session);
    seenInGeneration = session.login().generation();
    found = new Found(session.login(), handle);
    return handle;
  }

  /** Whether there is such an object, or more than one. */
  boolean isPresent(TokenSession session) {
    return session.find(template(), 1).length > 0;
  }

  /** Looks for it although the handle is known; throws as {@link #handle} does. */
  void requirePresent(TokenSession session) {
    find(session);
  }

  private long find(TokenSession session) {
    long[] handles = session.find(template(), 2);
    if (handles.length == 1) {
      return handles[0];
    }
    if (handles.length > 1) {
      throw new RootKeyException(
          NOT_FOUND,
          "the token has more than one "
              + name
              + ", and which of them is meant cannot be told; remove or rename the others");
    }
    String absent = "the token has no " + name;
    // Tokens that lost their storage or their login show an empty list, not an error. What was seen
    // since the module was last initialized gets the benefit of the doubt.
    if (session.login().recoverable() && seenInGeneration == session.login().generation()) {
      throw CryptokiException.absent(
          CkFunction.C_FindObjects, ReturnCode.CKR_OBJECT_HANDLE_INVALID, absent);
    }
    throw new RootKeyException(NOT_FOUND, absent);
  }

  private Template template() {
    Template template =
        new Template()
            .number(Ck.CKA_CLASS, objectClass)
            .number(Ck.CKA_KEY_TYPE, keyType)
            .flag(Ck.CKA_TOKEN, true)
            .flag(Ck.CKA_PRIVATE, true);
    if (id != null) {
      template.bytes(Ck.CKA_ID, id);
    }
    if (label != null) {
      template.text(Ck.CKA_LABEL, label);
    }
    return template;
  }

  @Override
  public String toString() {
    return name;
  }
}
