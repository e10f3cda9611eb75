package dev.sealwax.kms.pkcs11;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Predicate;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * A module in Java with one token, whose every function can be told to return any code, to hang, or
 * to lose what a real one would lose. It keeps the rules that recovery relies on: handles and
 * sessions end with {@code C_Finalize}, the login with the last session.
 */
final class FakeModule implements Cryptoki {
  static final String PIN = "1234";
  static final long SLOT = 7;

  private static final Map<CkFunction, Long> USES =
      Map.of(
          CkFunction.C_EncryptInit, Ck.CKA_ENCRYPT,
          CkFunction.C_DecryptInit, Ck.CKA_DECRYPT,
          CkFunction.C_SignInit, Ck.CKA_SIGN,
          CkFunction.C_WrapKey, Ck.CKA_WRAP,
          CkFunction.C_UnwrapKey, Ck.CKA_UNWRAP);

  /** What a function does instead of its work. */
  private record Fault(long code, Predicate<FakeModule> until) {}

  private final Map<CkFunction, Fault> faults = new EnumMap<>(CkFunction.class);
  private final Map<CkFunction, Integer> calls = new EnumMap<>(CkFunction.class);
  private final Map<CkFunction, CountDownLatch> hangs = new EnumMap<>(CkFunction.class);
  private final Map<Long, Map<Long, byte[]>> objects = new TreeMap<>();
  private final Map<Long, Long> handles = new HashMap<>();
  private final Set<Long> sessions = new HashSet<>();
  private long next = 100;
  private boolean initialized;
  private boolean loggedIn;
  private int initializations;

  long badTag = ReturnCode.CKR_GENERAL_ERROR.code();
  long tokenFlags = Ck.CKF_LOGIN_REQUIRED | Ck.CKF_TOKEN_INITIALIZED;
  long maxSessions;
  long maxWritableSessions;
  private final Set<Long> writableSessions = new HashSet<>();
  String serial = "0001";

  /** Throws what no module can. */
  @Nullable CkFunction mad;

  /** What C_GetTokenInfo says of a second slot; 0 for none. */
  long brokenSlot;

  /** Set by C_Login when it fails. */
  long flagsOfAFailedLogin;

  boolean tokenPresent = true;
  boolean ignoresAssociatedData;
  boolean extractable;

  /** Attribute that no key can be made with; -1 for none. */
  long unwantedAttribute = -1;

  byte @Nullable [] ownIv;
  List<Long> mechanisms =
      List.of(
          Ck.CKM_AES_GCM,
          Ck.CKM_AES_KEY_GEN,
          Ck.CKM_AES_KEY_WRAP,
          Ck.CKM_AES_CBC,
          Ck.CKM_SHA256_HMAC);

  /** Lets every call of this function return a code. */
  synchronized FakeModule failing(CkFunction function, long code) {
    return failing(function, code, module -> false);
  }

  /** The same until something holds. */
  synchronized FakeModule failing(CkFunction function, long code, Predicate<FakeModule> untilThis) {
    faults.put(function, new Fault(code, untilThis));
    return this;
  }

  synchronized void heal() {
    faults.clear();
    hangs.values().forEach(CountDownLatch::countDown);
    hangs.clear();
  }

  /** Lets calls of this function wait for the latch, inside the module. */
  synchronized void hanging(CkFunction function, CountDownLatch latch) {
    hangs.put(function, latch);
  }

  synchronized int calls(CkFunction function) {
    return calls.getOrDefault(function, 0);
  }

  synchronized int initializations() {
    return initializations;
  }

  synchronized int openSessions() {
    return sessions.size();
  }

  /** One session ends, by a timeout of the token, say. */
  synchronized void endNewestSession() {
    sessions.remove(Collections.max(sessions));
  }

  /** Somebody else ends all sessions, and with them the login. */
  synchronized void closeAllSessions() {
    sessions.clear();
    loggedIn = false;
    handles.clear();
  }

  /** Somebody else deletes all keys. */
  synchronized void destroyKeys() {
    objects.clear();
  }

  /** Somebody gives all keys an attribute. */
  synchronized void setAttribute(long type, byte[] value) {
    objects.values().forEach(object -> object.put(type, value));
  }

  /** Puts other keys under the ids and labels of those that are there. */
  synchronized void replaceKeys() {
    objects.values().forEach(object -> object.put(Ck.CKA_VALUE, randomBytes(32)));
  }

  private static byte[] randomBytes(int length) {
    byte[] bytes = new byte[length];
    new SecureRandom().nextBytes(bytes);
    return bytes;
  }

  private void enter(CkFunction function) {
    CountDownLatch latch;
    synchronized (this) {
      calls.merge(function, 1, Integer::sum);
      latch = hangs.get(function);
    }
    if (latch != null) {
      try {
        latch.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
    if (function == mad) {
      throw new IllegalStateException("a fault of the binding");
    }
    synchronized (this) {
      Fault fault = faults.get(function);
      if (fault != null && !fault.until().test(this)) {
        // Codes that say that something is so are true.
        initialized |= fault.code() == ReturnCode.CKR_CRYPTOKI_ALREADY_INITIALIZED.code();
        loggedIn |= fault.code() == ReturnCode.CKR_USER_ALREADY_LOGGED_IN.code();
        throw new CryptokiException(function, fault.code());
      }
      if (!initialized && function != CkFunction.C_Initialize) {
        throw error(function, ReturnCode.CKR_CRYPTOKI_NOT_INITIALIZED);
      }
    }
  }

  private static CryptokiException error(CkFunction function, ReturnCode code) {
    return new CryptokiException(function, code.code());
  }

  @Override
  public void initialize(@Nullable String arguments) {
    enter(CkFunction.C_Initialize);
    synchronized (this) {
      if (initialized) {
        throw error(CkFunction.C_Initialize, ReturnCode.CKR_CRYPTOKI_ALREADY_INITIALIZED);
      }
      initialized = true;
      initializations++;
    }
  }

  @Override
  public void finish() {
    enter(CkFunction.C_Finalize);
    synchronized (this) {
      initialized = false;
      loggedIn = false;
      sessions.clear();
      handles.clear();
    }
  }

  @Override
  public long[] slots() {
    enter(CkFunction.C_GetSlotList);
    if (brokenSlot != 0) {
      return new long[] {SLOT - 1, SLOT};
    }
    return tokenPresent ? new long[] {SLOT} : new long[0];
  }

  @Override
  public TokenInfo tokenInfo(long slot) {
    enter(CkFunction.C_GetTokenInfo);
    if (slot != SLOT) {
      throw new CryptokiException(CkFunction.C_GetTokenInfo, brokenSlot);
    }
    return new TokenInfo(slot, "fake", "Sealwax", "Fake", serial, tokenFlags, maxSessions);
  }

  @Override
  public long openSession(long slot, boolean writable) {
    enter(CkFunction.C_OpenSession);
    synchronized (this) {
      if (!tokenPresent) {
        throw error(CkFunction.C_OpenSession, ReturnCode.CKR_TOKEN_NOT_PRESENT);
      }
      if (maxSessions > 0 && sessions.size() >= maxSessions) {
        throw error(CkFunction.C_OpenSession, ReturnCode.CKR_SESSION_COUNT);
      }
      writableSessions.retainAll(sessions);
      if (writable && maxWritableSessions > 0 && writableSessions.size() >= maxWritableSessions) {
        throw error(CkFunction.C_OpenSession, ReturnCode.CKR_SESSION_COUNT);
      }
      sessions.add(++next);
      if (writable) {
        writableSessions.add(next);
      }
      return next;
    }
  }

  @Override
  public void closeSession(long session) {
    enter(CkFunction.C_CloseSession);
    synchronized (this) {
      requireSession(CkFunction.C_CloseSession, session);
      sessions.remove(session);
      if (sessions.isEmpty()) {
        loggedIn = false;
        handles.clear();
      }
    }
  }

  private void requireSession(CkFunction function, long session) {
    if (!sessions.contains(session)) {
      throw error(function, ReturnCode.CKR_SESSION_HANDLE_INVALID);
    }
  }

  @Override
  public void login(long session, byte @Nullable [] pin) {
    try {
      enter(CkFunction.C_Login);
    } catch (CryptokiException e) {
      tokenFlags |= flagsOfAFailedLogin;
      throw e;
    }
    synchronized (this) {
      requireSession(CkFunction.C_Login, session);
      if (loggedIn) {
        throw error(CkFunction.C_Login, ReturnCode.CKR_USER_ALREADY_LOGGED_IN);
      }
      boolean keypad = pin == null && (tokenFlags & Ck.CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
      if (!keypad
          && (pin == null || !Arrays.equals(pin, PIN.getBytes(StandardCharsets.US_ASCII)))) {
        throw error(CkFunction.C_Login, ReturnCode.CKR_PIN_INCORRECT);
      }
      loggedIn = true;
    }
  }

  @Override
  public long createObject(long session, Template template) {
    enter(CkFunction.C_CreateObject);
    synchronized (this) {
      requireSession(CkFunction.C_CreateObject, session);
      return store(template, new byte[0]);
    }
  }

  private long store(Template template, byte[] value) {
    Map<Long, byte[]> object = new HashMap<>();
    for (Template.Attribute attribute : template.attributes()) {
      object.put(attribute.type(), attribute.value().clone());
    }
    if (value.length > 0) {
      object.put(Ck.CKA_VALUE, value);
      byte flag = (byte) (extractable ? 1 : 0);
      object.put(Ck.CKA_EXTRACTABLE, new byte[] {flag});
      object.put(Ck.CKA_ALWAYS_SENSITIVE, new byte[] {1});
      object.put(Ck.CKA_NEVER_EXTRACTABLE, new byte[] {(byte) (1 - flag)});
      object.put(Ck.CKA_LOCAL, new byte[] {1});
    }
    objects.put(++next, object);
    handles.put(++next, next - 1);
    return next;
  }

  @Override
  public void destroyObject(long session, long object) {
    enter(CkFunction.C_DestroyObject);
    synchronized (this) {
      requireSession(CkFunction.C_DestroyObject, session);
      byHandle(CkFunction.C_DestroyObject, object);
      objects.remove(handles.get(object));
    }
  }

  private Map<Long, byte[]> byHandle(CkFunction function, long handle) {
    Long number = handles.get(handle);
    Map<Long, byte[]> object = number == null ? null : objects.get(number);
    if (object == null) {
      throw error(function, ReturnCode.CKR_OBJECT_HANDLE_INVALID);
    }
    return object;
  }

  @Override
  public byte @Nullable [] attribute(long session, long object, long type) {
    enter(CkFunction.C_GetAttributeValue);
    synchronized (this) {
      requireSession(CkFunction.C_GetAttributeValue, session);
      byte[] value = byHandle(CkFunction.C_GetAttributeValue, object).get(type);
      return value == null ? null : value.clone();
    }
  }

  @Override
  public long[] find(long session, Template template, int most) {
    enter(CkFunction.C_FindObjectsInit);
    enter(CkFunction.C_FindObjects);
    enter(CkFunction.C_FindObjectsFinal);
    synchronized (this) {
      requireSession(CkFunction.C_FindObjectsInit, session);
      List<Long> found = new ArrayList<>();
      for (Map.Entry<Long, Map<Long, byte[]>> object : objects.entrySet()) {
        boolean matches =
            template.attributes().stream()
                .allMatch(a -> Arrays.equals(a.value(), object.getValue().get(a.type())));
        // Without a login private objects are not there.
        if (matches && loggedIn && found.size() < most) {
          handles.put(++next, object.getKey());
          found.add(next);
        }
      }
      return found.stream().mapToLong(Long::longValue).toArray();
    }
  }

  @Override
  public byte[] encrypt(long session, Mechanism mechanism, long key, byte[] data, int room) {
    enter(CkFunction.C_EncryptInit);
    byte[] value = begin(CkFunction.C_EncryptInit, session, mechanism, key);
    enter(CkFunction.C_Encrypt);
    return crypt(CkFunction.C_Encrypt, Cipher.ENCRYPT_MODE, mechanism, value, data);
  }

  @Override
  public byte[] decrypt(long session, Mechanism mechanism, long key, byte[] data, int room) {
    enter(CkFunction.C_DecryptInit);
    byte[] value = begin(CkFunction.C_DecryptInit, session, mechanism, key);
    enter(CkFunction.C_Decrypt);
    return crypt(CkFunction.C_Decrypt, Cipher.DECRYPT_MODE, mechanism, value, data);
  }

  private synchronized byte[] begin(
      CkFunction function, long session, Mechanism mechanism, long key) {
    requireSession(function, session);
    if (!mechanisms.contains(mechanism.type())) {
      throw error(function, ReturnCode.CKR_MECHANISM_INVALID);
    }
    Map<Long, byte[]> object = byHandle(function, key);
    byte[] use = object.get(USES.getOrDefault(function, Ck.CKA_VALUE));
    if (use != null && use.length == 1 && use[0] == 0) {
      throw error(function, ReturnCode.CKR_KEY_FUNCTION_NOT_PERMITTED);
    }
    byte[] value = object.get(Ck.CKA_VALUE);
    if (value == null) {
      throw error(function, ReturnCode.CKR_KEY_HANDLE_INVALID);
    }
    return value;
  }

  private byte[] crypt(
      CkFunction function, int mode, Mechanism mechanism, byte[] key, byte[] data) {
    if (mechanism.type() != Ck.CKM_AES_GCM && mechanism.type() != Ck.CKM_AES_CBC) {
      throw error(function, ReturnCode.CKR_MECHANISM_INVALID);
    }
    try {
      SecretKeySpec aes = new SecretKeySpec(key, "AES");
      if (mechanism instanceof Mechanism.Gcm gcm) {
        if (ownIv != null && mode == Cipher.ENCRYPT_MODE) {
          System.arraycopy(ownIv, 0, gcm.iv(), 0, ownIv.length);
        }
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(mode, aes, new GCMParameterSpec(128, gcm.iv()));
        cipher.updateAAD(ignoresAssociatedData ? new byte[0] : gcm.associatedData());
        return cipher.doFinal(data);
      }
      Cipher cipher = Cipher.getInstance("AES/CBC/NoPadding");
      cipher.init(mode, aes, new IvParameterSpec(((Mechanism.WithIv) mechanism).iv()));
      return cipher.doFinal(data);
    } catch (AEADBadTagException e) {
      throw new CryptokiException(function, badTag);
    } catch (GeneralSecurityException e) {
      throw error(function, ReturnCode.CKR_DATA_INVALID);
    }
  }

  @Override
  public byte[] sign(long session, Mechanism mechanism, long key, byte[] data, int room) {
    enter(CkFunction.C_SignInit);
    byte[] value = begin(CkFunction.C_SignInit, session, mechanism, key);
    enter(CkFunction.C_Sign);
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(value, "HmacSHA256"));
      return mac.doFinal(data);
    } catch (GeneralSecurityException e) {
      throw error(CkFunction.C_Sign, ReturnCode.CKR_DATA_INVALID);
    }
  }

  @Override
  public long generateKey(long session, Mechanism mechanism, Template template) {
    enter(CkFunction.C_GenerateKey);
    synchronized (this) {
      requireSession(CkFunction.C_GenerateKey, session);
      if (template.attributes().stream().anyMatch(a -> a.type() == unwantedAttribute)) {
        throw error(CkFunction.C_GenerateKey, ReturnCode.CKR_ATTRIBUTE_TYPE_INVALID);
      }
      return store(template, randomBytes(32));
    }
  }

  @Override
  public long generateKeyPair(
      long session, Mechanism mechanism, Template publicTemplate, Template privateTemplate) {
    enter(CkFunction.C_GenerateKeyPair);
    throw error(CkFunction.C_GenerateKeyPair, ReturnCode.CKR_MECHANISM_INVALID);
  }

  @Override
  public byte[] wrapKey(long session, Mechanism mechanism, long wrappingKey, long key, int room) {
    enter(CkFunction.C_WrapKey);
    byte[] with = begin(CkFunction.C_WrapKey, session, mechanism, wrappingKey);
    byte[] value = begin(CkFunction.C_WrapKey, session, mechanism, key);
    try {
      Cipher cipher = Cipher.getInstance("AESWrap");
      cipher.init(Cipher.WRAP_MODE, new SecretKeySpec(with, "AES"));
      return cipher.wrap(new SecretKeySpec(value, "AES"));
    } catch (GeneralSecurityException e) {
      throw error(CkFunction.C_WrapKey, ReturnCode.CKR_DATA_INVALID);
    }
  }

  @Override
  public long unwrapKey(
      long session, Mechanism mechanism, long unwrappingKey, byte[] wrapped, Template template) {
    enter(CkFunction.C_UnwrapKey);
    byte[] with = begin(CkFunction.C_UnwrapKey, session, mechanism, unwrappingKey);
    try {
      Cipher cipher = Cipher.getInstance("AESWrap");
      cipher.init(Cipher.UNWRAP_MODE, new SecretKeySpec(with, "AES"));
      byte[] value = cipher.unwrap(wrapped, "AES", Cipher.SECRET_KEY).getEncoded();
      synchronized (this) {
        return store(template.bytes(Ck.CKA_VALUE, value), new byte[0]);
      }
    } catch (GeneralSecurityException e) {
      throw error(CkFunction.C_UnwrapKey, ReturnCode.CKR_WRAPPED_KEY_INVALID);
    }
  }
}
