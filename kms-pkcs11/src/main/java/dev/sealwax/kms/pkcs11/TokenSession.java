package dev.sealwax.kms.pkcs11;

import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A session, lent to one thread at a time. After any failure it is not used again: some modules
 * leave an operation active in it for ever.
 */
final class TokenSession {
  private final Cryptoki cryptoki;
  private final Login login;
  private final boolean writable;
  private long session;
  private boolean broken;
  private boolean closed;

  private TokenSession(Cryptoki cryptoki, Login login, boolean writable, long session) {
    this.cryptoki = cryptoki;
    this.login = login;
    this.writable = writable;
    this.session = session;
  }

  static TokenSession open(Cryptoki cryptoki, Login login, boolean writable) {
    long session = cryptoki.openSession(login.token().slot(), writable);
    return new TokenSession(cryptoki, login, writable, session);
  }

  Login login() {
    return login;
  }

  boolean isBroken() {
    return broken;
  }

  /** Replaces the session by a fresh one, to go on after a failure. */
  void renew() {
    close();
    broken = true;
    session = cryptoki.openSession(login.token().slot(), writable);
    broken = false;
    closed = false;
  }

  /**
   * Closes it, unless it has ended.
   *
   * @return false if the module refuses, and so keeps it
   */
  boolean close() {
    if (closed) {
      return true;
    }
    // Whatever comes of it: the number may be somebody else's session from now on.
    closed = true;
    try {
      cryptoki.closeSession(session);
      return true;
    } catch (CryptokiException e) {
      broken = true;
      return e.code().meansLostSession();
    }
  }

  /** The result of a call, or the knowledge that the session is not to be used again. */
  private <T> T guarded(Supplier<T> call) {
    boolean completed = false;
    try {
      T result = call.get();
      completed = true;
      return result;
    } catch (CryptokiException e) {
      closed |= e.code().meansLostSession();
      throw e;
    } finally {
      broken |= !completed;
    }
  }

  long createObject(Template template) {
    return guarded(() -> cryptoki.createObject(session, template));
  }

  void destroyObject(long object) {
    boolean completed = false;
    try {
      cryptoki.destroyObject(session, object);
      completed = true;
    } catch (CryptokiException e) {
      closed |= e.code().meansLostSession();
      throw e;
    } finally {
      broken |= !completed;
    }
  }

  byte @Nullable [] attribute(long object, long type) {
    boolean completed = false;
    try {
      byte[] value = cryptoki.attribute(session, object, type);
      completed = true;
      return value;
    } catch (CryptokiException e) {
      closed |= e.code().meansLostSession();
      throw e;
    } finally {
      broken |= !completed;
    }
  }

  long[] find(Template template, int most) {
    return guarded(() -> cryptoki.find(session, template, most));
  }

  byte[] encrypt(Mechanism mechanism, long key, byte[] data, int room) {
    return guarded(() -> cryptoki.encrypt(session, mechanism, key, data, room));
  }

  byte[] decrypt(Mechanism mechanism, long key, byte[] data, int room) {
    return guarded(() -> cryptoki.decrypt(session, mechanism, key, data, room));
  }

  byte[] sign(Mechanism mechanism, long key, byte[] data, int room) {
    return guarded(() -> cryptoki.sign(session, mechanism, key, data, room));
  }

  long generateKey(Mechanism mechanism, Template template) {
    return guarded(() -> cryptoki.generateKey(session, mechanism, template));
  }

  long generateKeyPair(Mechanism mechanism, Template publicKey, Template privateKey) {
    return guarded(() -> cryptoki.generateKeyPair(session, mechanism, publicKey, privateKey));
  }

  byte[] wrapKey(Mechanism mechanism, long wrappingKey, long key, int room) {
    return guarded(() -> cryptoki.wrapKey(session, mechanism, wrappingKey, key, room));
  }

  long unwrapKey(Mechanism mechanism, long unwrappingKey, byte[] wrapped, Template template) {
    return guarded(() -> cryptoki.unwrapKey(session, mechanism, unwrappingKey, wrapped, template));
  }
}
