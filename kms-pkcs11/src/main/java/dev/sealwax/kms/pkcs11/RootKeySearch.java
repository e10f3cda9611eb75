package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds root keys on a token, and lets none pass that somebody without the PIN could have made. */
final class RootKeySearch {
  private RootKeySearch() {}

  /**
   * Finds the root key that the URI of a configuration names.
   *
   * @throws RootKeyException with {@code NOT_FOUND} if there is none or more than one, {@code
   *     ACCESS_DENIED} if the token would hand it out
   */
  static TokenRootKey named(TokenSession session, Pkcs11Config config) {
    String label = config.uri().object();
    byte[] id = config.uri().id();
    List<TokenRootKey> matching = findAll(session, config, label, id, null);
    if (matching.isEmpty()) {
      throw new RootKeyException(
          NOT_FOUND,
          session.login().token()
              + " has no private AES or RSA key "
              + config.uri()
              + "; create one, or"
              + " check label and id");
    }
    if (matching.size() > 1) {
      List<String> ids =
          matching.stream().map(key -> "id=" + Pkcs11Uri.escape(key.id())).sorted().toList();
      throw new RootKeyException(
          NOT_FOUND,
          matching.size()
              + " keys on "
              + session.login().token()
              + " match "
              + config.uri()
              + "; add one of "
              + ids
              + " to the URI");
    }
    TokenRootKey key = matching.get(0);
    key.requireKeptInside();
    return key;
  }

  /**
   * Finds a version by label and id.
   *
   * @param current the version that wraps
   * @return null if there is none
   * @throws RootKeyException with {@code NOT_FOUND} if there is more than one, {@code
   *     ACCESS_DENIED} if the token would hand it out
   */
  static @Nullable TokenRootKey version(
      TokenSession session, Pkcs11Config config, String label, byte[] id, TokenRootKey current) {
    List<TokenRootKey> matching = findAll(session, config, label, id, current);
    if (matching.size() > 1) {
      throw new RootKeyException(
          NOT_FOUND,
          matching.size()
              + " keys '"
              + label
              + "' on "
              + session.login().token()
              + " have id "
              + Pkcs11Uri.escape(id));
    }
    if (matching.isEmpty()) {
      return null;
    }
    matching.get(0).requireKeptInside();
    return matching.get(0);
  }

  private static List<TokenRootKey> findAll(
      TokenSession session,
      Pkcs11Config config,
      @Nullable String label,
      byte @Nullable [] id,
      @Nullable TokenRootKey current) {
    List<TokenRootKey> found = new ArrayList<>();
    for (long keyType : new long[] {Ck.CKK_AES, Ck.CKK_RSA}) {
      Template template =
          new Template()
              .number(Ck.CKA_CLASS, objectClass(keyType))
              .number(Ck.CKA_KEY_TYPE, keyType)
              .flag(Ck.CKA_TOKEN, true)
              // What is not private may have been put there without the PIN.
              .flag(Ck.CKA_PRIVATE, true);
      if (label != null) {
        template.text(Ck.CKA_LABEL, label);
      }
      if (id != null) {
        template.bytes(Ck.CKA_ID, id);
      }
      for (long handle : session.find(template, 64)) {
        found.add(read(session, config, keyType, handle, current));
      }
    }
    return found;
  }

  private static TokenRootKey read(
      TokenSession session,
      Pkcs11Config config,
      long keyType,
      long handle,
      @Nullable TokenRootKey current) {
    byte[] id = TokenKeys.id(session, handle);
    String label = TokenKeys.label(session, handle);
    if (id.length < 1 || id.length > Pkcs11Uri.MAX_ID_BYTES) {
      throw new RootKeyException(
          UNSUPPORTED,
          "key '"
              + label
              + "' has an id of "
              + id.length
              + " bytes; give it one of 1 to "
              + Pkcs11Uri.MAX_ID_BYTES
              + " (CKA_ID), by which what it wraps will know it");
    }
    TokenObject object = TokenObject.byId(objectClass(keyType), keyType, id);
    TokenKeys.requireNoPinForEachUse(session, handle, object.toString());
    return new TokenRootKey(
        id,
        label,
        object,
        TokenKeys.protection(session, handle),
        keyType == Ck.CKK_RSA ? TokenKeys.rsaPublicKey(session, handle, object) : null,
        config,
        current);
  }

  private static long objectClass(long keyType) {
    return keyType == Ck.CKK_AES ? Ck.CKO_SECRET_KEY : Ck.CKO_PRIVATE_KEY;
  }
}
