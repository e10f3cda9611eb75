package dev.sealwax.kms.pkcs11;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNAVAILABLE;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The life of one module: loaded and initialized, called, initialized anew when it has failed, and
 * finalized when {@link LoadedModules} counts no user any more, who all share this object.
 *
 * <p>Calls hold the reading half of a lock; finalizing takes the writing half, so nothing is ever
 * finalized under a call. Safe for any thread.
 */
final class CryptokiModule {
  private static final Logger LOG = LoggerFactory.getLogger(CryptokiModule.class);

  private final Path path;
  private final @Nullable String arguments;
  private final boolean shared;
  private final Circuit circuit;
  private final Circuit recoveries;
  private final ReentrantReadWriteLock calls = new ReentrantReadWriteLock();
  private final ReentrantLock logins = new ReentrantLock();
  private final AtomicLong reinitializations = new AtomicLong();

  /** Written under the writing lock; never null once {@link #started}. */
  private volatile @Nullable Cryptoki cryptoki;

  /** Written under the writing lock. */
  private volatile boolean started;

  /** Written under the writing lock. */
  private volatile boolean initialized;

  /**
   * No native call is made through this object any more: another may own the module by now. Written
   * under the writing lock and the lock of {@link LoadedModules}.
   */
  private volatile boolean retired;

  private volatile boolean foreign;
  private final AtomicLong generation = new AtomicLong();
  private volatile long blamedGeneration = -1;
  private volatile long unclosedGeneration = -1;

  /** Not loaded yet; {@link LoadedModules} makes it. */
  CryptokiModule(Path path, Pkcs11Config config) {
    this.path = path;
    this.arguments = config.moduleArguments();
    this.shared = config.accepts(Concession.SHARED_MODULE);
    this.circuit = new Circuit(config.firstBackOff(), config.longestBackOff(), System::nanoTime);
    this.recoveries = new Circuit(config.firstBackOff(), config.longestBackOff(), System::nanoTime);
  }

  /**
   * Loads and initializes it, unless that was done, in a thread that may stay behind.
   *
   * @return false if it was finalized meanwhile and another has to be made
   */
  boolean start(Function<Path, Cryptoki> loader, Deadline deadline) {
    if (started && !retired) {
      // Counted as a user, so nobody retires it.
      return true;
    }
    Call<Boolean> start =
        new Call<>(() -> startNow(loader, deadline), ignored -> {}, new AtomicInteger());
    ModuleThreads.of(start).start();
    return start.await(deadline);
  }

  private boolean startNow(Function<Path, Cryptoki> loader, Deadline deadline) {
    if (!deadline.take(calls.writeLock())) {
      throw new RootKeyException(
          UNAVAILABLE, "PKCS#11 module " + path + " did not become free within the timeout");
    }
    try {
      if (!retired && !started) {
        load(loader);
      }
      // Whoever asked for it may have left.
      finishIfUnused();
      return !retired;
    } finally {
      calls.writeLock().unlock();
    }
  }

  private void load(Function<Path, Cryptoki> loader) {
    try {
      cryptoki = loader.apply(path);
      foreign = !initialize() || shared;
      started = true;
    } catch (CryptokiException e) {
      throw e.translated("cannot initialize PKCS#11 module " + path);
    } finally {
      if (!started) {
        LoadedModules.remove(this);
      }
    }
    if (foreign) {
      // Whoever else uses it would lose its sessions if this library finalized the module.
      LOG.info("PKCS#11 module {} is used by others in this JVM and is never finalized", path);
    }
  }

  /** Called by {@link LoadedModules}, under its lock and the writing lock. */
  void retire() {
    retired = true;
  }

  boolean isRetired() {
    return retired;
  }

  /** Whether it was loaded as this configuration asks for: that can be done once. */
  boolean isConfiguredLike(Pkcs11Config config) {
    return Objects.equals(arguments, config.moduleArguments())
        && shared == config.accepts(Concession.SHARED_MODULE);
  }

  /** Whether it was not initialized before. */
  private boolean initialize() {
    try {
      cryptoki().initialize(arguments);
      // In this order: who sees the new generation must not take it for one that is down.
      initialized = true;
      generation.incrementAndGet();
      return true;
    } catch (CryptokiException e) {
      if (e.code() != ReturnCode.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        throw e;
      }
      initialized = true;
      return false;
    }
  }

  /**
   * Gives the module up; the last user finalizes it, unless it is somebody else's. While a call or
   * the finalizing hangs in it, it stays registered, so that whoever wants it next meets its lock.
   */
  void release(Deadline deadline) {
    if (LoadedModules.unregister(this) && !deadline.run(() -> releaseNow(deadline))) {
      LOG.warn("PKCS#11 module {} could not be finalized within the timeout", path);
    }
  }

  private void releaseNow(Deadline deadline) {
    if (!deadline.take(calls.writeLock())) {
      LOG.warn("PKCS#11 module {} stays initialized: a call has not returned from it", path);
      return;
    }
    try {
      finishIfUnused();
    } finally {
      calls.writeLock().unlock();
    }
  }

  /** Called under the writing lock. */
  private void finishIfUnused() {
    if (!LoadedModules.retireIfUnused(this)) {
      return;
    }
    try {
      if (initialized && !foreign) {
        initialized = false;
        cryptoki().finish();
      }
    } catch (CryptokiException e) {
      LOG.debug("closing PKCS#11 module {}", path, e);
    } finally {
      LoadedModules.remove(this);
    }
  }

  /**
   * Begins a call; {@link #leave} ends it. Initializes the module first if a recovery could not.
   *
   * @throws RootKeyException with {@code UNAVAILABLE} if the circuit is open, or the deadline comes
   */
  void enter(Deadline deadline) {
    while (true) {
      requireClosed();
      // Read first: of two generations it must be the one that was not initialized.
      long seen = generation();
      if (!initialized) {
        recover(seen, "not initialized", deadline);
      }
      if (!deadline.take(calls.readLock())) {
        throw new RootKeyException(
            UNAVAILABLE, "PKCS#11 module " + path + " did not become free within the timeout");
      }
      if (initialized && !retired) {
        return;
      }
      calls.readLock().unlock();
      requireInUse();
    }
  }

  /**
   * Fails at once while the module is left alone.
   *
   * @throws RootKeyException with {@code UNAVAILABLE}
   */
  void requireClosed() {
    circuit.requireClosed("the PKCS#11 module");
  }

  private void requireInUse() {
    if (retired) {
      throw new IllegalStateException("PKCS#11 module " + path + " has been given up");
    }
  }

  /** Begins a call if the module is usable as it is, without any attempt to mend it. */
  boolean tryEnter(Deadline deadline) {
    if (!initialized || !deadline.take(calls.readLock())) {
      return false;
    }
    // Nobody writes it while a call is under way.
    if (initialized && !retired) {
      return true;
    }
    calls.readLock().unlock();
    return false;
  }

  void leave() {
    calls.readLock().unlock();
  }

  /**
   * Finalizes the module and initializes it anew, unless somebody did since {@code seen}.
   *
   * @param seen the generation that failed
   * @throws RootKeyException with {@code UNAVAILABLE} if that is impossible or fails; the circuit
   *     is open then
   */
  void recover(long seen, String failure, Deadline deadline) {
    Lock writing = calls.writeLock();
    if (!deadline.take(writing)) {
      blame(seen, "a call has not returned from the module");
      throw new RootKeyException(
          UNAVAILABLE,
          "PKCS#11 module "
              + path
              + " cannot be initialized anew because a call has not returned"
              + " from it; after: "
              + failure);
    }
    try {
      requireInUse();
      if (generation() == seen) {
        requireClosed();
        recoverNow(failure);
      }
    } finally {
      writing.unlock();
    }
  }

  private void recoverNow(String failure) {
    if (foreign) {
      circuit.failed(failure);
      throw new RootKeyException(
          UNAVAILABLE,
          "PKCS#11 module "
              + path
              + " failed and cannot be initialized anew, because somebody else"
              + " in this JVM uses it too: "
              + failure);
    }
    LOG.warn("PKCS#11 module {} is initialized anew after: {}", path, failure);
    initialized = false;
    boolean finalized = false;
    try {
      cryptoki().finish();
      finalized = true;
    } catch (CryptokiException e) {
      // A module that lost its device may refuse even this; C_Initialize will tell.
      LOG.debug("finalizing PKCS#11 module {}", path, e);
    }
    boolean fresh;
    try {
      fresh = initialize();
    } catch (CryptokiException e) {
      circuit.failed(String.valueOf(e.getMessage()));
      throw new RootKeyException(
          UNAVAILABLE, "PKCS#11 module " + path + " cannot be initialized anew", e);
    }
    if (!fresh) {
      if (finalized) {
        // By somebody else, a moment ago; sessions of before have ended.
        generation.incrementAndGet();
      }
      circuit.failed(failure);
      throw new RootKeyException(
          UNAVAILABLE,
          "PKCS#11 module "
              + path
              + " failed and cannot be initialized anew, because it stays initialized: "
              + failure);
    }
    reinitializations.incrementAndGet();
  }

  /** The module failed for good as it is: leave it alone for a while. */
  void blame(long failedGeneration, String failure) {
    synchronized (circuit) {
      // Calls that failed together are one failure, or the wait would double for each of them.
      if (blamedGeneration != failedGeneration || circuit.state() != CircuitState.OPEN) {
        blamedGeneration = failedGeneration;
        circuit.failed(failure);
      }
    }
  }

  /** A session of this generation was given up and not closed. */
  void leftSession(long ofGeneration) {
    unclosedGeneration = ofGeneration;
  }

  /** Whether sessions of this library are open that nobody uses and only finalizing ends. */
  boolean hasLeftSessions() {
    return unclosedGeneration == generation() && !foreign;
  }

  void succeeded() {
    circuit.succeeded();
  }

  /** One login at a time, so that a wrong PIN is tried by one of many. */
  ReentrantLock logins() {
    return logins;
  }

  Cryptoki cryptoki() {
    return Objects.requireNonNull(cryptoki, "not loaded");
  }

  Circuit circuit() {
    return circuit;
  }

  /**
   * Open while initializing the module anew has lately not mended what failed, though the token
   * answered: calls are made, but what fails again is not taken for a reason to do so once more.
   */
  Circuit recoveries() {
    return recoveries;
  }

  Path path() {
    return path;
  }

  /** Grows whenever sessions and handles of before have ended. */
  long generation() {
    return generation.get();
  }

  long reinitializations() {
    return reinitializations.get();
  }

  /** Whether it may be finalized and initialized anew. */
  boolean isRecoverable() {
    return !foreign;
  }

  @Override
  public String toString() {
    return "CryptokiModule[" + path + "]";
  }
}
