package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.pkcs11.ReturnCode.Rung;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A logged-in connection to one token: a bounded pool of sessions, each used by one thread at a
 * time, and the recovery ladder.
 *
 * <p>A call that fails drops its session. Depending on the code ({@link ReturnCode}) it is then
 * made once more after a new login, and once more after the module was initialized anew; never more
 * often, and never after the deadline. Safe for any thread; closed by its owner.
 */
final class TokenConnection implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(TokenConnection.class);
  private static final AtomicInteger THREADS = new AtomicInteger();
  private static final long IDLE_SECONDS = 60;
  private static final int MAX_UTF8_BYTES = 3; // for each char

  /** What is done with a session. */
  interface Work<T> {
    T with(TokenSession session);
  }

  /** Whether a call may be made again after it failed. */
  private enum Repeat {
    ALLOWED,
    /** It creates something, and might have done so before it failed. */
    FORBIDDEN
  }

  private final Pkcs11Config config;
  private final CryptokiModule module;
  private final Cryptoki cryptoki;
  private final boolean writable;
  private final ThreadPoolExecutor threads;
  private final ConcurrentLinkedDeque<TokenSession> idle = new ConcurrentLinkedDeque<>();
  private final AtomicInteger sessions = new AtomicInteger();
  private final AtomicInteger overdue = new AtomicInteger();
  private final AtomicLong loginCount = new AtomicLong();
  private final AtomicBoolean closed = new AtomicBoolean();

  private final AtomicReference<@Nullable Login> login = new AtomicReference<>();
  private volatile @Nullable TokenInfo known;
  private volatile PinState pinState = PinState.UNKNOWN;

  private TokenConnection(Pkcs11Config config, CryptokiModule module, boolean writable) {
    this.config = config;
    this.module = module;
    this.cryptoki = module.cryptoki();
    this.writable = writable;
    this.threads =
        new ThreadPoolExecutor(
            config.maxSessions(),
            config.maxSessions(),
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            TokenConnection::newThread);
    threads.allowCoreThreadTimeOut(true);
  }

  static Thread newThread(Runnable body) {
    Thread thread = new Thread(body, "sealwax-pkcs11-" + THREADS.incrementAndGet());
    // A call that hangs in the module must not keep the JVM from ending.
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Connects and logs in.
   *
   * @throws RootKeyException if there is no such module or token, or the login is refused
   */
  static TokenConnection open(
      Pkcs11Config config, boolean writable, Function<Path, Cryptoki> loader) {
    CryptokiModule module = CryptokiModule.acquire(config, loader);
    TokenConnection connection = new TokenConnection(config, module, writable);
    try {
      long most = connection.call("open", session -> session.login().token().maxSessions());
      connection.limitSessions(most);
      return connection;
    } catch (RuntimeException e) {
      connection.close();
      throw e;
    }
  }

  /** The anchor needs one of the sessions that the token allows. */
  private void limitSessions(long allowedByToken) {
    if (allowedByToken > 0 && allowedByToken - 1 < config.maxSessions()) {
      int most = (int) Math.max(1, allowedByToken - 1);
      threads.setCorePoolSize(most);
      threads.setMaximumPoolSize(most);
    }
  }

  /** Makes a call that may be repeated; see {@link #call(String, Consumer, Work)}. */
  <T> T call(String doing, Work<T> work) {
    return call(doing, ignored -> {}, work);
  }

  /**
   * Makes a call that may be repeated.
   *
   * @param doing starts the message of a failure
   * @param discard wipes a result that comes when the caller has left
   * @throws RootKeyException if it fails for good, or not within the timeout
   * @throws IllegalStateException if this connection is closed
   */
  <T> T call(String doing, Consumer<T> discard, Work<T> work) {
    return submit(doing, discard, work, Repeat.ALLOWED);
  }

  /** Makes a call that changes the token: never repeated, whatever happens. */
  <T> T callOnce(String doing, Work<T> work) {
    return submit(doing, ignored -> {}, work, Repeat.FORBIDDEN);
  }

  private <T> T submit(String doing, Consumer<T> discard, Work<T> work, Repeat repeat) {
    requireOpen();
    // Not only in the pool's threads: who would queue behind others shall hear at once.
    module.circuit().requireClosed();
    if (overdue.get() >= threads.getMaximumPoolSize()) {
      throw new RootKeyException(
          UNAVAILABLE, "no call has returned from PKCS#11 module " + module.path() + " in time");
    }
    Deadline deadline = Deadline.in(config.callTimeout());
    Call<T> call = new Call<>(() -> climb(doing, work, repeat, deadline), discard, overdue);
    try {
      threads.execute(call);
    } catch (RejectedExecutionException e) {
      throw new IllegalStateException("connection to the token is closed", e);
    }
    try {
      return call.await(deadline);
    } finally {
      if (call.isQueued()) {
        threads.remove(call);
      }
    }
  }

  void requireOpen() {
    if (closed.get()) {
      throw new IllegalStateException("connection to the token is closed");
    }
  }

  private <T> T climb(String doing, Work<T> work, Repeat repeat, Deadline deadline) {
    Rung climbed = Rung.NONE;
    while (true) {
      requireOpen();
      module.enter(deadline);
      long generation = module.generation();
      Login used = null;
      CryptokiException failure;
      try {
        used = login(deadline);
        T result = attempt(used, work);
        module.succeeded();
        if (climbed == Rung.MODULE) {
          module.recoveries().succeeded();
        }
        return result;
      } catch (CryptokiException e) {
        failure = e;
      } finally {
        module.leave();
      }
      if (isMisconfigured(failure)) {
        throw new RootKeyException(NOT_FOUND, String.valueOf(failure.getMessage()), failure);
      }
      climbed = mend(doing, failure, climbed, generation, used, deadline);
      if (repeat == Repeat.FORBIDDEN) {
        throw failure.translated(doing);
      }
    }
  }

  private <T> T attempt(Login current, Work<T> work) {
    TokenSession session = borrow(current);
    boolean completed = false;
    try {
      T result = work.with(session);
      completed = true;
      return result;
    } finally {
      if (completed || !session.isBroken()) {
        giveBack(session);
      } else {
        drop(session);
      }
    }
  }

  /**
   * Does what the next rung of the ladder asks for.
   *
   * @return the rung that was climbed; the call may be made again
   */
  private Rung mend(
      String doing,
      CryptokiException failure,
      Rung climbed,
      long generation,
      @Nullable Login used,
      Deadline deadline) {
    requireOpen();
    Rung first = failure.code().rung();
    if (failure.function() == CkFunction.C_Login && !failure.code().provesPinUnseen()) {
      if (first == Rung.MODULE) {
        // For the next login: this PIN is not presented again within this call.
        module.recover(generation, String.valueOf(failure.getMessage()), deadline);
      }
      throw failure.translated(doing);
    }
    if (first == Rung.NONE) {
      throw failure.translated(doing);
    }
    if (first != Rung.MODULE && climbed == Rung.NONE) {
      LOG.debug("PKCS#11 session is given up after: {}", failure.getMessage());
      if (used != null && failure.code().meansLostSession()) {
        used.lost();
      }
      forget(used, deadline);
      return Rung.SESSION;
    }
    if (first == Rung.SESSION_ONLY) {
      throw failure.translated(doing);
    }
    String message = String.valueOf(failure.getMessage());
    if (climbed == Rung.MODULE) {
      // One key or one call that fails for ever says nothing about the others.
      if (answers(used, deadline)) {
        module.recoveries().failed(message);
      } else {
        module.blame(generation, message);
      }
      throw failure.translated(doing);
    }
    if (module.recoveries().state() == CircuitState.OPEN && answers(used, deadline)) {
      throw failure.translated(doing);
    }
    module.recover(generation, message, deadline);
    return Rung.MODULE;
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
      long session = cryptoki.openSession(slot, false);
      try {
        return cryptoki.tokenInfo(slot).serial().equals(used.token().serial());
      } finally {
        closeAnchor(session);
      }
    } catch (CryptokiException e) {
      return e.code() == ReturnCode.CKR_SESSION_COUNT;
    } finally {
      module.leave();
    }
  }

  /** A token that was never there is a mistake in the configuration and not an outage. */
  private boolean isMisconfigured(CryptokiException failure) {
    return known == null
        && failure.function() == CkFunction.C_GetSlotList
        && failure.code() == ReturnCode.CKR_TOKEN_NOT_PRESENT;
  }

  private TokenSession borrow(Login current) {
    TokenSession session;
    while ((session = idle.poll()) != null) {
      if (session.login() == current) {
        return session;
      }
      drop(session);
    }
    session = TokenSession.open(cryptoki, current, writable);
    sessions.incrementAndGet();
    return session;
  }

  private void giveBack(TokenSession session) {
    if (session.isBroken()) {
      drop(session);
    } else {
      idle.push(session);
      if (closed.get()) {
        // Who closed may have looked before this one came back.
        dropIdle();
      }
    }
  }

  private void dropIdle() {
    TokenSession session;
    while ((session = idle.poll()) != null) {
      drop(session);
    }
  }

  private void drop(TokenSession session) {
    sessions.decrementAndGet();
    // After a new initialization the number may be somebody else's session.
    if (session.login().generation() == module.generation() && !session.login().isLost()) {
      session.close();
    }
  }

  /** Lets the next call log in anew, unless another has. Holds no lock while it waits for one. */
  private void forget(@Nullable Login used, Deadline deadline) {
    if (used != null && login.compareAndSet(used, null)) {
      closeAnchor(used, deadline);
    }
  }

  private void closeAnchor(Login old, Deadline deadline) {
    if (module.tryEnter(deadline)) {
      try {
        if (old.generation() == module.generation() && !old.isLost()) {
          closeAnchor(old.anchor());
        }
      } finally {
        module.leave();
      }
    }
  }

  private Login login(Deadline deadline) {
    Login current = login.get();
    if (current != null && current.generation() == module.generation()) {
      return current;
    }
    if (!deadline.take(module.logins())) {
      throw new RootKeyException(UNAVAILABLE, "no login at the token within the timeout");
    }
    try {
      current = login.get();
      if (current == null || current.generation() != module.generation()) {
        current = logIn();
        login.set(current);
        loginCount.incrementAndGet();
      }
      return current;
    } finally {
      module.logins().unlock();
    }
  }

  private Login logIn() {
    TokenInfo token = findToken();
    long anchor = cryptoki.openSession(token.slot(), writable);
    boolean completed = false;
    try {
      if (token.has(Ck.CKF_LOGIN_REQUIRED)) {
        presentPin(token, anchor);
      }
      completed = true;
    } finally {
      if (!completed) {
        closeAnchor(anchor);
      }
    }
    known = token;
    return new Login(module.generation(), token, anchor, module.isRecoverable());
  }

  private void closeAnchor(long anchor) {
    try {
      cryptoki.closeSession(anchor);
    } catch (CryptokiException e) {
      LOG.debug("closing a session without login", e);
    }
  }

  private TokenInfo findToken() {
    List<TokenInfo> all = new ArrayList<>();
    for (long slot : cryptoki.slots()) {
      TokenInfo info = info(slot);
      if (info != null && info.has(Ck.CKF_TOKEN_INITIALIZED)) {
        all.add(info);
      }
    }
    // A token that only bears the same label shall not see the PIN of the one that was there.
    TokenInfo before = known;
    List<TokenInfo> matching =
        all.stream()
            .filter(config.uri()::matches)
            .filter(token -> before == null || before.serial().equals(token.serial()))
            .toList();
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
            "the PIN of " + token + " was refused before and is not tried again; give another");
      }
      PinLatch.requireNoDoubt(digest, token);
      if (!login(token, anchor, pin, digest)) {
        pinState = PinState.UNKNOWN;
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
  private boolean login(TokenInfo token, long anchor, byte @Nullable [] pin, String digest) {
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
      if (!code.provesPinUnseen()) {
        PinLatch.doubt(digest, code, config);
      }
      throw e;
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

  Pkcs11Config config() {
    return config;
  }

  Pkcs11Health health() {
    Circuit circuit = module.circuit();
    return new Pkcs11Health(
        circuit.state(),
        circuit.failures(),
        circuit.untilNextAttempt(),
        circuit.lastFailure(),
        module.reinitializations(),
        loginCount.get(),
        sessions.get(),
        threads.getActiveCount(),
        threads.getQueue().size(),
        overdue.get(),
        pinState);
  }

  /** Waits for calls under way, up to the timeout of a call; later calls are refused. */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    // Half closed would be worse than late, so who is interrupted waits all the same.
    boolean interrupted = Thread.interrupted();
    Deadline deadline = Deadline.in(config.callTimeout());
    try {
      shutDown(deadline);
    } finally {
      module.release(deadline);
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void shutDown(Deadline deadline) {
    threads.shutdown();
    List<Runnable> never = new ArrayList<>();
    threads.getQueue().drainTo(never);
    for (Runnable call : never) {
      ((Call<?>) call).refuse(new IllegalStateException("connection to the token is closed"));
    }
    Deadline last = deadline;
    if (!awaitCalls(deadline)) {
      LOG.warn("a call has not returned from PKCS#11 module {}; its session stays", module.path());
      last = Deadline.in(config.callTimeout());
    }
    Deadline forSessions = last;
    if (!last.run(() -> closeSessions(forSessions))) {
      LOG.warn("sessions of PKCS#11 module {} could not be closed in time", module.path());
    }
  }

  private boolean awaitCalls(Deadline deadline) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return threads.awaitTermination(deadline.remainingNanos(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void closeSessions(Deadline deadline) {
    if (!module.tryEnter(deadline)) {
      // Down: there are no sessions left to close.
      return;
    }
    try {
      dropIdle();
    } finally {
      module.leave();
    }
    Login current = login.getAndSet(null);
    if (current != null) {
      closeAnchor(current, deadline);
    }
  }

  @Override
  public String toString() {
    return "TokenConnection[" + module.path() + ", " + config.uri() + "]";
  }
}
