package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.pkcs11.ReturnCode.Rung;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.util.ArrayList;
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
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A logged-in connection to one token: a bounded pool of sessions, each used by one thread at a
 * time.
 *
 * <p>A call that fails drops its session, and is made once more for each rung of the {@link
 * RecoveryLadder} that may help; never after the deadline. Safe for any thread; closed by its
 * owner.
 */
final class TokenConnection implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(TokenConnection.class);
  private static final long IDLE_SECONDS = 60;

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

  /** Open while this token is left alone and others of the module are not. */
  private final Circuit token;

  private final AtomicReference<@Nullable Login> login = new AtomicReference<>();
  private final TokenLogin tokenLogin;
  private final RecoveryLadder ladder;

  private TokenConnection(Pkcs11Config config, CryptokiModule module, boolean writable) {
    this.config = config;
    this.module = module;
    this.cryptoki = module.cryptoki();
    this.writable = writable;
    this.token = new Circuit(config.firstBackOff(), config.longestBackOff(), System::nanoTime);
    this.tokenLogin = new TokenLogin(config, module);
    this.ladder = new RecoveryLadder(module, token, tokenLogin, this::forget);
    this.threads =
        new ThreadPoolExecutor(
            config.maxSessions(),
            config.maxSessions(),
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            ModuleThreads.factory());
    threads.allowCoreThreadTimeOut(true);
  }

  /**
   * Connects and logs in.
   *
   * @throws RootKeyException if there is no such module or token, or the login is refused
   */
  static TokenConnection open(
      Pkcs11Config config, boolean writable, Function<Path, Cryptoki> loader) {
    CryptokiModule module = LoadedModules.acquire(config, loader);
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
    module.requireClosed();
    token.requireClosed("the token");
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
        token.succeeded();
        if (climbed == Rung.MODULE) {
          module.recoveries().succeeded();
        }
        return result;
      } catch (CryptokiException e) {
        failure = e;
      } finally {
        module.leave();
      }
      if (ladder.isMisconfigured(failure)) {
        throw new RootKeyException(NOT_FOUND, String.valueOf(failure.getMessage()), failure);
      }
      requireOpen();
      climbed = ladder.climb(doing, failure, climbed, generation, used, deadline);
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
    Login of = session.login();
    // After a new initialization the number may be somebody else's session.
    if (of.generation() == module.generation() && (of.isLost() || !session.close())) {
      module.leftSession(of.generation());
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
          ReturnCode refusal = tokenLogin.close(old.anchor());
          if (refusal != null && refusal.meansLostSession()) {
            // Somebody ended them all; one that ended alone says nothing about the others.
            old.lost();
          } else if (refusal != null) {
            module.leftSession(old.generation());
          }
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
        current = tokenLogin.logIn();
        login.set(current);
        loginCount.incrementAndGet();
      }
      return current;
    } finally {
      module.logins().unlock();
    }
  }

  /** The token as of the last login. */
  TokenInfo token() {
    return tokenLogin.token();
  }

  Pkcs11Config config() {
    return config;
  }

  Pkcs11Health health() {
    boolean alone =
        token.state() != CircuitState.CLOSED && module.circuit().state() != CircuitState.OPEN;
    Circuit circuit = alone ? token : module.circuit();
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
        tokenLogin.pinState());
  }

  /** Waits for calls under way, up to the timeout of a call; later calls are refused. */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    // Half closed would be worse than late, so who is interrupted waits all the same.
    boolean interrupted = Thread.interrupted();
    try {
      shutDown(Deadline.in(config.callTimeout()));
    } finally {
      // Calls that hung may have used the time up.
      module.release(Deadline.in(config.callTimeout()));
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
