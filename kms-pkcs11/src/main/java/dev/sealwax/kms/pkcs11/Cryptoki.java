package dev.sealwax.kms.pkcs11;

import org.jspecify.annotations.Nullable;

/**
 * The functions of one loaded PKCS#11 module, with Java's types and exceptions.
 *
 * <p>An interface so that tests can let every function return every code. Each method throws {@link
 * CryptokiException} for a code other than {@code CKR_OK}, naming the function. A session belongs
 * to one thread at a time: modules crash the process otherwise, and nothing here prevents it.
 * Secrets passed in stay the caller's, secrets returned are the caller's to wipe.
 */
interface Cryptoki {
  /**
   * {@code C_Initialize} with OS locking.
   *
   * @param arguments for {@code pReserved}, which NSS needs
   */
  void initialize(@Nullable String arguments);

  /** {@code C_Finalize}; no other call may be under way. */
  void finish();

  /** {@code C_GetSlotList}: slots with a token in them. */
  long[] slots();

  /** {@code C_GetTokenInfo}. */
  TokenInfo tokenInfo(long slot);

  /** {@code C_OpenSession}. */
  long openSession(long slot, boolean writable);

  /** {@code C_CloseSession}. */
  void closeSession(long session);

  /**
   * {@code C_Login} as user.
   *
   * @param pin UTF-8, or null for a token with a keypad of its own
   */
  void login(long session, byte @Nullable [] pin);

  /** {@code C_CreateObject}. */
  long createObject(long session, Template template);

  /** {@code C_DestroyObject}. */
  void destroyObject(long session, long object);

  /** {@code C_GetAttributeValue} of one attribute; null if the object has none or keeps it. */
  byte @Nullable [] attribute(long session, long object, long type);

  /** {@code C_FindObjectsInit}, {@code C_FindObjects} and {@code C_FindObjectsFinal}. */
  long[] find(long session, Template template, int most);

  /**
   * {@code C_EncryptInit} and {@code C_Encrypt}.
   *
   * @param room the most bytes that may come back
   */
  byte[] encrypt(long session, Mechanism mechanism, long key, byte[] data, int room);

  /** {@code C_DecryptInit} and {@code C_Decrypt}. */
  byte[] decrypt(long session, Mechanism mechanism, long key, byte[] data, int room);

  /** {@code C_SignInit} and {@code C_Sign}. */
  byte[] sign(long session, Mechanism mechanism, long key, byte[] data, int room);

  /** {@code C_GenerateKey}. */
  long generateKey(long session, Mechanism mechanism, Template template);

  /**
   * {@code C_GenerateKeyPair}.
   *
   * @return the handle of the private key
   */
  long generateKeyPair(
      long session, Mechanism mechanism, Template publicTemplate, Template privateTemplate);

  /** {@code C_WrapKey}. */
  byte[] wrapKey(long session, Mechanism mechanism, long wrappingKey, long key, int room);

  /** {@code C_UnwrapKey}. */
  long unwrapKey(
      long session, Mechanism mechanism, long unwrappingKey, byte[] wrapped, Template template);
}
