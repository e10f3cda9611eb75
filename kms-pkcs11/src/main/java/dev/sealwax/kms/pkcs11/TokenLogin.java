package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds the token of a configuration and presents its PIN, so that no PIN is tried twice in vain
 * and none is shown to another token. What it knows may be read by any thread.
 */
final class TokenLogin {
  private static final Logger LOG = LoggerFactory.getLogger(TokenLogin.class);
  private static final int MAX_UTF8_BYTES = 3; // for each char

  /** Logins that failed with a code some tokens give for a wrong PIN; many lock after three. */
  private static final int MOST_DOUBTS = 2;

  private final Pkcs11Config config;
  private final CryptokiModule module;
  private final Cryptoki cryptoki;
  private volatile @Nullable TokenInfo known;
  private volatile PinState pinState = PinState.UNKNOWN;

  TokenLogin(Pkcs11Config config, CryptokiModule module) {
    this.config = config;
    this.module = module;
    this.cryptoki = module.cryptoki();
  }

  /**
   * Finds the token, opens the anchor and logs in; for one thread at a time.
   *
   * @throws CryptokiException if the token is not there, or the module fails
   * @throws RootKeyException if the token is ambiguous, or the PIN is missing, refused or at risk
   */
  Login logIn() {
    TokenInfo token = findToken();
    if (token.maxSessions() == 1) {
      throw new RootKeyException(
          UNSUPPORTED,
          token + " allows one session; at least two are needed, one of which keeps the login");
    }
    // Never for writing: a token may allow one such session.
    long anchor = cryptoki.openSession(token.slot(), /* writable= */ false);
    boolean completed = false;
    try {
      if (token.has(Ck.CKF_LOGIN_REQUIRED)) {
        presentPin(token, anchor);
      }
      completed = true;
    } finally {
      if (!completed) {
        close(anchor);
      }
    }
    known = token;
    return new Login(module.generation(), token, anchor, module.isRecoverable());
  }

  private TokenInfo findToken() {
    List<TokenInfo> all = new ArrayList<>();
    CryptokiException failure = null;
    for (long slot : cryptoki.slots()) {
      try {
        TokenInfo info = info(slot);
        if (info != null && info.has(Ck.CKF_TOKEN_INITIALIZED)) {
          all.add(info);
        }
      } catch (CryptokiException e) {
        // Another's, unless no other slot has the token.
        failure = failure == null ? e : failure;
      }
    }
    // A token that only bears the same label shall not see the PIN of the one that was there.
    TokenInfo before = known;
    List<TokenInfo> matching =
        all.stream()
            .filter(config.uri()::matches)
            .filter(token -> before == null || before.serial().equals(token.serial()))
            .toList();
    if (matching.isEmpty() && failure != null) {
      throw failure;
    }
    if (matching.isEmpty()) {
      throw CryptokiException.absent(
          CkFunction.C_GetSlotList,
          ReturnCode.CKR_TOKEN_NOT_PRESENT,
          "no token matches "
              + (before == null ? "" : "serial " + before.serial() + " and ")
              + config.uri().withKey(null, null)
              + "; present are "
              + names(all));
    }
    if (matching.size() == 1) {
      return matching.get(0);
    }
    throw new RootKeyException(
        NOT_FOUND,
        matching.size()
            + " tokens match "
            + config.uri().withKey(null, null)
            + ": "
            + names(matching)
            + "; add serial= to the URI");
  }

  /** Null for a slot whose token left between the list and the question. */
  private @Nullable TokenInfo info(long slot) {
    try {
      return cryptoki.tokenInfo(slot);
    } catch (CryptokiException e) {
      if (e.code() == ReturnCode.CKR_TOKEN_NOT_PRESENT
          || e.code() == ReturnCode.CKR_TOKEN_NOT_RECOGNIZED
          || e.code() == ReturnCode.CKR_SLOT_ID_INVALID) {
        return null;
      }
      throw e;
    }
  }

  private static String names(List<TokenInfo> tokens) {
    return tokens.isEmpty()
        ? "none"
        : tokens.stream().map(TokenInfo::toString).collect(Collectors.joining(", "));
  }

  private void presentPin(TokenInfo token, long anchor) {
    requirePinTries(token);
    byte[] pin = readPin(token);
    try {
      String digest =
          PinLatch.digest(module.path().toString(), token, pin == null ? new byte[0] : pin);
      if (pin != null && PinLatch.isRefused(digest)) {
        pinState = PinState.REFUSED;
        throw new RootKeyException(
            ACCESS_DENIED,
            "the PIN of "
                + token
                + " was refused before, or failed twice for no clear reason, and is not tried"
                + " again; give another");
      }
      PinLatch.requireNoDoubt(digest, token);
      if (!presentPin(token, anchor, pin, digest)) {
        // What the token said of this PIN before still holds.
        boolean accepted =
            pinState == PinState.ACCEPTED || pinState == PinState.ACCEPTED_AFTER_FAILURES;
        pinState = accepted ? pinState : PinState.UNKNOWN;
        return;
      }
    } finally {
      if (pin != null) {
        Arrays.fill(pin, (byte) 0);
      }
    }
    pinState =
        token.has(Ck.CKF_USER_PIN_COUNT_LOW) ? PinState.ACCEPTED_AFTER_FAILURES : PinState.ACCEPTED;
  }

  private void requirePinTries(TokenInfo token) {
    if (token.has(Ck.CKF_USER_PIN_LOCKED)) {
      pinState = PinState.LOCKED;
      throw new RootKeyException(
          ACCESS_DENIED,
          "the PIN of " + token + " is locked; its security officer can set a new one");
    }
    if (token.has(Ck.CKF_USER_PIN_FINAL_TRY) && !config.accepts(Concession.FINAL_PIN_TRY)) {
      pinState = PinState.FINAL_TRY;
      throw new RootKeyException(
          ACCESS_DENIED,
          token
              + " will be locked by the next wrong PIN, so none is tried; log in once by another"
              + " tool, or accept Concession.FINAL_PIN_TRY");
    }
    if (token.has(Ck.CKF_USER_PIN_COUNT_LOW)) {
      LOG.warn("somebody has given {} a wrong PIN; a few more and it is locked", token);
    }
  }

  private byte @Nullable [] readPin(TokenInfo token) {
    PinSource source = config.pin();
    if (source == null) {
      if (token.has(Ck.CKF_PROTECTED_AUTHENTICATION_PATH)) {
        return null;
      }
      throw new RootKeyException(ACCESS_DENIED, token + " needs a PIN; configure a PinSource");
    }
    char[] chars = askForPin(source, token);
    try {
      byte[] room = new byte[MAX_UTF8_BYTES * chars.length];
      ByteBuffer encoded = ByteBuffer.wrap(room);
      boolean malformed =
          StandardCharsets.UTF_8
              .newEncoder()
              .encode(CharBuffer.wrap(chars), encoded, true)
              .isError();
      byte[] pin = Arrays.copyOf(room, encoded.position());
      Arrays.fill(room, (byte) 0);
      if (malformed) {
        Arrays.fill(pin, (byte) 0);
        throw new RootKeyException(ACCESS_DENIED, "the PIN for " + token + " is no valid text");
      }
      return pin;
    } finally {
      Arrays.fill(chars, '\0');
    }
  }

  private static char[] askForPin(PinSource source, TokenInfo token) {
    char @Nullable [] chars;
    try {
      chars = source.pin();
    } catch (RootKeyException e) {
      throw e;
    } catch (RuntimeException e) {
      throw new RootKeyException(ACCESS_DENIED, "the PinSource for " + token + " failed", e);
    }
    if (chars == null) {
      throw new RootKeyException(ACCESS_DENIED, "the PinSource for " + token + " gave no PIN");
    }
    return chars;
  }

  /** Whether the token has looked at the PIN and accepted it. */
  private boolean presentPin(TokenInfo token, long anchor, byte @Nullable [] pin, String digest) {
    try {
      cryptoki.login(anchor, pin);
      PinLatch.accept(digest);
      return true;
    } catch (CryptokiException e) {
      ReturnCode code = e.code();
      if (code == ReturnCode.CKR_USER_ALREADY_LOGGED_IN) {
        // By another connection of this process; the PIN has not been looked at.
        return false;
      }
      if (code == ReturnCode.CKR_PIN_LOCKED) {
        pinState = PinState.LOCKED;
      }
      if (code.meansBadPin()) {
        pinState = PinState.REFUSED;
        if (pin != null) {
          PinLatch.refuse(digest);
        }
        throw e.translated("login at " + token);
      }
      if (code.provesPinUnseen()) {
        throw e;
      }
      int doubts = PinLatch.doubt(digest, code, config);
      boolean counted = countedTry(token);
      if (pin != null && (counted || (code.mayMeanBadPin() && doubts >= MOST_DOUBTS))) {
        pinState = pinState == PinState.LOCKED ? PinState.LOCKED : PinState.REFUSED;
        PinLatch.refuse(digest);
      }
      if (counted) {
        throw new RootKeyException(
            ACCESS_DENIED, "login at " + token + ": it counted a wrong PIN; " + e.getMessage(), e);
      }
      throw e;
    }
  }

  /** Whether the token says of its PIN what it did not say before the login. */
  private boolean countedTry(TokenInfo before) {
    try {
      TokenInfo now = cryptoki.tokenInfo(before.slot());
      long tries = Ck.CKF_USER_PIN_COUNT_LOW | Ck.CKF_USER_PIN_FINAL_TRY | Ck.CKF_USER_PIN_LOCKED;
      return (now.flags() & ~before.flags() & tries) != 0;
    } catch (CryptokiException e) {
      LOG.debug("asking {} for its tries", before, e);
      return false;
    }
  }

  /** The token as of the last login. */
  TokenInfo token() {
    TokenInfo info = known;
    if (info == null) {
      throw new IllegalStateException("never logged in");
    }
    return info;
  }

  boolean hasSucceeded() {
    return known != null;
  }

  PinState pinState() {
    return pinState;
  }

  /**
   * Closes a session that is in nobody's use.
   *
   * @return what the module said if it refused, or null
   */
  @Nullable ReturnCode close(long session) {
    try {
      cryptoki.closeSession(session);
      return null;
    } catch (CryptokiException e) {
      LOG.debug("closing a session without login", e);
      return e.code();
    }
  }
}
