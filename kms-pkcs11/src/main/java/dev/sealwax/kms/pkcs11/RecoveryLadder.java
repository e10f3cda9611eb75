package dev.sealwax.kms.pkcs11;

import dev.sealwax.kms.pkcs11.ReturnCode.Rung;
import dev.sealwax.kms.vocabulary.RootKeyException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is done about a failed call before it is made again, or why it is not: another session and a
 * new login, then the module initialized anew; which of them may help depends on the code ({@link
 * ReturnCode}), each is tried once per call, and the second never for what is one key's, one call's
 * or one token's own trouble. Safe for any thread; holds no lock but what the module does.
 */
final class RecoveryLadder {
  private static final Logger LOG = LoggerFactory.getLogger(RecoveryLadder.class);

  /** Lets the next call log in anew. */
  interface Forget {
    void now(@Nullable Login used, Deadline deadline);
  }

  private final CryptokiModule module;
  private final Circuit token;
  private final TokenLogin tokenLogin;
  private final Forget forget;

  /**
   * Of one connection.
   *
   * @param token open while this token is left alone and others of the module are not
   */
  RecoveryLadder(CryptokiModule module, Circuit token, TokenLogin tokenLogin, Forget forget) {
    this.module = module;
    this.token = token;
    this.tokenLogin = tokenLogin;
    this.forget = forget;
  }

  /**
   * Does what the next rung of the ladder asks for.
   *
   * @param climbed what was done for this call before
   * @param generation that of the module when the call was made
   * @param used the login it was made under, if it came that far
   * @return the rung that was climbed; the call may be made again
   * @throws RootKeyException the failure, if nothing here mends it
   */
  Rung climb(
      String doing,
      CryptokiException failure,
      Rung climbed,
      long generation,
      @Nullable Login used,
      Deadline deadline) {
    Rung first = failure.code().rung();
    if (failure.function() == CkFunction.C_Login && !failure.code().provesPinUnseen()) {
      if (first == Rung.MODULE) {
        // For the next login: this PIN is not presented again within this call.
        module.recover(generation, String.valueOf(failure.getMessage()), deadline);
      }
      throw failure.translated(doing);
    }
    if (first == Rung.NONE && !isOwnSessionCount(failure)) {
      throw failure.translated(doing);
    }
    if ((first == Rung.SESSION || first == Rung.SESSION_ONLY) && climbed == Rung.NONE) {
      LOG.debug("PKCS#11 session is given up after: {}", failure.getMessage());
      if (used != null && failure.code().meansLostSession() && !module.isRecoverable()) {
        used.lost();
      }
      forget.now(used, deadline);
      return Rung.SESSION;
    }
    if (first == Rung.SESSION_ONLY && answers(used, deadline)) {
      throw failure.translated(doing);
    }
    String message = String.valueOf(failure.getMessage());
    if (climbed == Rung.MODULE) {
      // One key, one call or one token that fails for ever says nothing about the others.
      if (answers(used, deadline)) {
        module.recoveries().failedTogether(message);
      } else if (moduleAnswers(deadline)) {
        module.recoveries().failedTogether(message);
        token.failedTogether(message);
      } else {
        module.blame(generation, message);
      }
      throw failure.translated(doing);
    }
    boolean inVain =
        used == null ? !mayRecover() : !module.isRecoverable() && !answers(used, deadline);
    if (inVain && moduleAnswers(deadline)) {
      if (used != null) {
        used.lost();
        forget.now(used, deadline);
      }
      token.failedTogether(message);
      throw failure.translated(doing);
    }
    if (module.recoveries().state() == CircuitState.OPEN && answers(used, deadline)) {
      throw failure.translated(doing);
    }
    module.recover(generation, message, deadline);
    return Rung.MODULE;
  }

  /** Whether there may be no session because this library has left some open. */
  private boolean isOwnSessionCount(CryptokiException failure) {
    return failure.code() == ReturnCode.CKR_SESSION_COUNT && module.hasLeftSessions();
  }

  private boolean mayRecover() {
    return module.isRecoverable() && module.recoveries().state() != CircuitState.OPEN;
  }

  /** Whether the module works, though perhaps not this token. */
  private boolean moduleAnswers(Deadline deadline) {
    if (!module.tryEnter(deadline)) {
      return false;
    }
    try {
      module.cryptoki().slots();
      return true;
    } catch (CryptokiException e) {
      return false;
    } finally {
      module.leave();
    }
  }

  /** Whether the token answers in a fresh session, so that the module as a whole works. */
  private boolean answers(@Nullable Login used, Deadline deadline) {
    if (used == null || !module.tryEnter(deadline)) {
      return false;
    }
    try {
      if (used.generation() != module.generation()) {
        return false;
      }
      long slot = used.token().slot();
      long session = module.cryptoki().openSession(slot, false);
      try {
        return module.cryptoki().tokenInfo(slot).serial().equals(used.token().serial());
      } finally {
        tokenLogin.close(session);
      }
    } catch (CryptokiException e) {
      return e.code() == ReturnCode.CKR_SESSION_COUNT;
    } finally {
      module.leave();
    }
  }

  /** A token that was never there is a mistake in the configuration and not an outage. */
  boolean isMisconfigured(CryptokiException failure) {
    return !tokenLogin.hasSucceeded()
        && failure.function() == CkFunction.C_GetSlotList
        && failure.code() == ReturnCode.CKR_TOKEN_NOT_PRESENT;
  }
}
